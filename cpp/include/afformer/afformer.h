/* AFFormer semantic segmentation for programs in C, and for languages that call C.
 *
 *     afformer_segmenter* segmenter = NULL;
 *     if (afformer_open("model.onnx", NULL, &segmenter) != AFFORMER_OK) {
 *         fprintf(stderr, "%s\n", afformer_last_error());
 *         return 1;
 *     }
 *     afformer_segment(segmenter, pixels, height, width, 0, AFFORMER_RGB, ids, (size_t)height * width);
 *     afformer_close(segmenter);
 *
 * A segmenter serves one thread at a time. Texts are UTF-8, belong to the library and must not be freed.
 */
#ifndef AFFORMER_AFFORMER_H
#define AFFORMER_AFFORMER_H

#include <stddef.h>
#include <stdint.h>

#define AFFORMER_VERSION "0.1.0"

#if defined(_WIN32)
#if defined(AFFORMER_BUILDING)
#define AFFORMER_API __declspec(dllexport)
#else
#define AFFORMER_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define AFFORMER_API __attribute__((visibility("default")))
#else
#define AFFORMER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum afformer_status {
    AFFORMER_OK = 0,
    AFFORMER_INVALID_ARGUMENT = 1, /* a null pointer, an unknown choice, a buffer of another size */
    AFFORMER_IMAGE = 2,            /* no picture, or one that cannot be used */
    AFFORMER_SPEC = 3,             /* a model without a readable spec */
    AFFORMER_BACKEND = 4,          /* the engine, its library or its device */
    AFFORMER_OUT_OF_MEMORY = 5,
    AFFORMER_INTERNAL = 6 /* anything else: a bug of this library */
} afformer_status;

typedef enum afformer_device {
    AFFORMER_AUTO = 0, /* the CPU for .onnx files, the GPU for engines */
    AFFORMER_CPU = 1,
    AFFORMER_CUDA = 2
} afformer_device;

typedef enum afformer_fit {
    AFFORMER_STRETCH = 0, /* resized to the model's input, whatever its aspect ratio */
    AFFORMER_PAD = 1      /* resized with its aspect ratio kept, then padded */
} afformer_fit;

typedef enum afformer_order { AFFORMER_RGB = 0, AFFORMER_BGR = 1 } afformer_order;

/* Start with `afformer_options options = AFFORMER_OPTIONS;`, which sets every default. */
typedef struct afformer_options {
    size_t size;         /* of this struct: one of another version of this header is refused */
    int device;          /* an afformer_device */
    int threads;         /* CPU threads inside one operator; 0 leaves the choice to the engine */
    int fit;             /* an afformer_fit */
    const char* library; /* the ONNX Runtime to load; NULL: AFFORMER_ONNXRUNTIME of the environment, or the system's */
} afformer_options;

#define AFFORMER_OPTIONS {sizeof(afformer_options), AFFORMER_AUTO, 0, AFFORMER_STRETCH, NULL}

typedef struct afformer_segmenter afformer_segmenter;

/* Opens a model file; `options` may be NULL. On failure `*segmenter` is NULL. */
AFFORMER_API afformer_status afformer_open(const char* model, const afformer_options* options,
                                           afformer_segmenter** segmenter);

/* Frees a segmenter; NULL is allowed. */
AFFORMER_API void afformer_close(afformer_segmenter* segmenter);

/* Segments one picture.
 *
 * data    height rows of width pixels, three bytes a pixel
 * stride  bytes from one row to the next; 0 if there are no gaps
 * order   an afformer_order
 * ids     takes the class map: height * width class ids, row by row without gaps
 * length  of `ids` in bytes, which must be height * width */
AFFORMER_API afformer_status afformer_segment(afformer_segmenter* segmenter, const uint8_t* data, int height, int width,
                                              ptrdiff_t stride, int order, uint8_t* ids, size_t length);

/* What went wrong in the last call of this thread that failed; "" if none did. Valid until the next one fails. */
AFFORMER_API const char* afformer_last_error(void);

/* Number of classes; 0 if `segmenter` is NULL. */
AFFORMER_API int afformer_num_classes(const afformer_segmenter* segmenter);

/* Name of a class, or NULL if there is no such class. Valid until the segmenter is closed, as are all texts below. */
AFFORMER_API const char* afformer_class_name(const afformer_segmenter* segmenter, int id);

/* Three bytes, red, green and blue, or NULL if there is no such class. */
AFFORMER_API const uint8_t* afformer_class_color(const afformer_segmenter* segmenter, int id);

/* Size at which the model sees pictures, in pixels; 0 if `segmenter` is NULL. */
AFFORMER_API int afformer_input_height(const afformer_segmenter* segmenter);
AFFORMER_API int afformer_input_width(const afformer_segmenter* segmenter);

/* Engine, version and device, for people. */
AFFORMER_API const char* afformer_description(const afformer_segmenter* segmenter);

/* Everything the model says of itself, as JSON. */
AFFORMER_API const char* afformer_spec_json(const afformer_segmenter* segmenter);

/* Version of the library, which may be newer than this header's AFFORMER_VERSION. */
AFFORMER_API const char* afformer_version(void);

#ifdef __cplusplus
}
#endif

#endif
