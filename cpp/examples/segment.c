/* Segments a picture from C: afformer-segment-c MODEL PICTURE.ppm [MASK.ppm]
 *
 * Reads and writes binary PPM files ("P6", 8 bits), so that it needs nothing but this library.
 */
#include <afformer/afformer.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct picture {
    int height, width;
    uint8_t* rgb;
} picture;

static int complain(const char* what, const char* problem) {
    fprintf(stderr, "%s: %s\n", what, problem);
    return 0;
}

static size_t pixels(const picture* of) { return (size_t)of->height * (size_t)of->width; }

static int read_ppm(const char* path, picture* into) {
    FILE* file = fopen(path, "rb");
    int most = 0, ok = 0;
    if (file == NULL) {
        return complain(path, "cannot be opened");
    }
    if (fscanf(file, "P6 %d %d %d", &into->width, &into->height, &most) == 3 && most == 255 && into->width > 0 &&
        into->height > 0 && fgetc(file) != EOF) {
        into->rgb = malloc(3 * pixels(into));
        ok = into->rgb != NULL && fread(into->rgb, 3, pixels(into), file) == pixels(into);
    }
    fclose(file);
    return ok ? 1 : complain(path, "is no binary PPM file of 8 bits");
}

static int write_ppm(const char* path, const picture* from) {
    FILE* file = fopen(path, "wb");
    int ok = 0;
    if (file != NULL) {
        ok = fprintf(file, "P6 %d %d 255\n", from->width, from->height) > 0 &&
             fwrite(from->rgb, 3, pixels(from), file) == pixels(from);
        ok = fclose(file) == 0 && ok;
    }
    return ok ? 1 : complain(path, "cannot be written");
}

static void print_shares(const afformer_segmenter* segmenter, const uint8_t* ids, size_t count) {
    size_t counts[256] = {0}, i;
    int id;
    for (i = 0; i < count; ++i) {
        ++counts[ids[i]];
    }
    for (id = 0; id < afformer_num_classes(segmenter); ++id) {
        printf("%6.2f %%  %s\n", 100.0 * (double)counts[id] / (double)count, afformer_class_name(segmenter, id));
    }
}

static void paint(const afformer_segmenter* segmenter, const uint8_t* ids, picture* onto) {
    size_t i;
    for (i = 0; i < 3 * pixels(onto); ++i) {
        onto->rgb[i] = afformer_class_color(segmenter, ids[i / 3])[i % 3];
    }
}

static int run(afformer_segmenter* segmenter, const char* path, const char* mask_path, picture* image, uint8_t** ids) {
    if (!read_ppm(path, image)) {
        return 0;
    }
    *ids = malloc(pixels(image));
    if (*ids == NULL) {
        return complain(path, "there is no memory for its class map");
    }
    if (afformer_segment(segmenter, image->rgb, image->height, image->width, 0, AFFORMER_RGB, *ids, pixels(image)) !=
        AFFORMER_OK) {
        return complain(path, afformer_last_error());
    }
    printf("%s\n", afformer_description(segmenter));
    print_shares(segmenter, *ids, pixels(image));
    if (mask_path == NULL) {
        return 1;
    }
    paint(segmenter, *ids, image);
    return write_ppm(mask_path, image);
}

int main(int argc, char** argv) {
    afformer_segmenter* segmenter = NULL;
    picture image = {0, 0, NULL};
    uint8_t* ids = NULL;
    int ok;
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: afformer-segment-c MODEL PICTURE.ppm [MASK.ppm]\n");
        return 2;
    }
    if (afformer_open(argv[1], NULL, &segmenter) != AFFORMER_OK) {
        fprintf(stderr, "%s\n", afformer_last_error());
        return 1;
    }
    ok = run(segmenter, argv[2], argc > 3 ? argv[3] : NULL, &image, &ids);
    free(ids);
    free(image.rgb);
    afformer_close(segmenter);
    return ok ? 0 : 1;
}
