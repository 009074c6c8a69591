/* AFFormer semantic segmentation for C, and for languages that call C.
 *
 *     afformer_segmenter* segmenter = NULL;
 *     if (afformer_open("model.onnx", NULL, &segmenter) != AFFORMER_OK) {
 *         fprintf(stderr, "%s\n", afformer_last_error());
 *         return 1;
 *     }
 *     afformer_segment(segmenter, pixels, height, width, 0, AFFORMER_RGB, ids, (size_t)height * width);
 *     afformer_close(segmenter);
 *
 * Any number of threads may use one segmenter at once; it is closed once, when none uses it any more. Texts are UTF-8,
 * belong to the library and must not be freed.
 */
#ifndef AFFORMER_AFFORMER_H
#define AFFORMER_AFFORMER_H

#include <stddef.h>
#include <stdint.h>

#define AFFORMER_VERSION "0.1.0"

/* On Windows, programs that link the static library define AFFORMER_STATIC. */
#if defined(_WIN32) && !defined(AFFORMER_STATIC)
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
    AFFORMER_INVALID_ARGUMENT = 1, /* a null pointer, an unknown choice, a buffer of the wrong size */
    AFFORMER_IMAGE = 2,            /* a picture that cannot be used */
    AFFORMER_SPEC = 3,             /* a model without a readable spec */
    AFFORMER_BACKEND = 4,          /* the backend, its library or its device */
    AFFORMER_OUT_OF_MEMORY = 5,
    AFFORMER_INTERNAL = 6 /* anything else: a bug in this library */
} afformer_status;

typedef enum afformer_device {
    AFFORMER_AUTO = 0, /* the CPU for ONNX models, the GPU for engines */
    AFFORMER_CPU = 1,
    AFFORMER_CUDA = 2
} afformer_device;

typedef enum afformer_fit {
    AFFORMER_STRETCH = 0, /* resized to the model's input, whatever the aspect ratio */
    AFFORMER_PAD = 1      /* resized with the aspect ratio kept, then padded */
} afformer_fit;

typedef enum afformer_order { AFFORMER_RGB = 0, AFFORMER_BGR = 1 } afformer_order;

/* Start with `afformer_options options = AFFORMER_OPTIONS;`, which sets every default. */
typedef struct afformer_options {
    size_t size;         /* of this struct: one from another version of this header is refused */
    int device;          /* an afformer_device */
    int threads;         /* CPU threads inside one operator; 0 leaves the choice to the backend */
    int fit;             /* an afformer_fit */
    const char* library; /* the ONNX Runtime to load; NULL: AFFORMER_ONNXRUNTIME of the environment, or the system's */
} afformer_options;

#define AFFORMER_OPTIONS {sizeof(afformer_options), AFFORMER_AUTO, 0, AFFORMER_STRETCH, NULL}

/* What a model says about itself. Names and colours of the classes have functions of their own. */
typedef struct afformer_spec {
    const char* variant;           /* tiny, small or base */
    const char* dataset;           /* which the classes come from */
    const char* precision;         /* fp32, fp16 or int8, inside the model */
    const char* checkpoint_sha256; /* hex digest of the checkpoint it was made from; may be "" */
    int height, width;             /* size at which the model sees pictures, in pixels */
    int batch;                     /* pictures in one run of the model */
    int num_classes;
    int takes_bytes;    /* 1: input (batch, height, width, 3) uint8; 0: (batch, 3, height, width) float, normalised */
    int gives_classmap; /* 1: output (batch, height, width) uint8; 0: (batch, classes, ceil(h/8), ceil(w/8)) float */
    double mean[3], std[3]; /* normalisation: in the order of the model's channels, 0..255 scale */
    int takes_bgr;          /* order of the model's channels. 1: BGR; 0: RGB. Pictures of the other order are turned */
} afformer_spec;

/* A picture: `height` rows of `width` pixels, three bytes each. */
typedef struct afformer_image {
    const uint8_t* data;
    int height, width;
    ptrdiff_t stride; /* bytes from one row to the next; 0 if there are no gaps */
    int order;        /* an afformer_order */
} afformer_image;

/* Memory for a class map: height * width class ids, row by row without gaps. */
typedef struct afformer_classmap {
    uint8_t* ids;
    size_t length; /* in bytes, which must be height * width of the picture */
} afformer_classmap;

typedef struct afformer_segmenter afformer_segmenter;

/* Opens a model file: .onnx, or .engine and .plan with their JSON beside them. `options` may be NULL. On failure
 * `*segmenter` is NULL. */
AFFORMER_API afformer_status afformer_open(const char* model, const afformer_options* options,
                                           afformer_segmenter** segmenter);

/* Opens an ONNX model in memory, which may be freed afterwards. */
AFFORMER_API afformer_status afformer_open_onnx(const void* model, size_t size, const afformer_options* options,
                                                afformer_segmenter** segmenter);

/* Opens a TensorRT engine in memory: the bytes of MODEL.engine and the text of MODEL.engine.json. Both may be freed
 * afterwards. */
AFFORMER_API afformer_status afformer_open_engine(const void* engine, size_t size, const char* json,
                                                  const afformer_options* options, afformer_segmenter** segmenter);

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

/* Segments `count` pictures of any sizes, as many in one run as the model's batch holds. Wrong arguments are refused
 * before the first run; if a later run fails, the class maps of earlier ones are written. */
AFFORMER_API afformer_status afformer_segment_batch(afformer_segmenter* segmenter, const afformer_image* images,
                                                    const afformer_classmap* classmaps, size_t count);

/* Why the last failed call of this thread failed; "" if none did. Valid until the thread's next failure. */
AFFORMER_API const char* afformer_last_error(void);

/* Number of classes; 0 if `segmenter` is NULL. */
AFFORMER_API int afformer_num_classes(const afformer_segmenter* segmenter);

/* Name of a class, or NULL if there is no such class. Valid until the segmenter is closed, as is all that follows. */
AFFORMER_API const char* afformer_class_name(const afformer_segmenter* segmenter, int id);

/* Three bytes, red, green and blue, or NULL if there is no such class. */
AFFORMER_API const uint8_t* afformer_class_color(const afformer_segmenter* segmenter, int id);

/* Size at which the model sees pictures, in pixels; 0 if `segmenter` is NULL. */
AFFORMER_API int afformer_input_height(const afformer_segmenter* segmenter);
AFFORMER_API int afformer_input_width(const afformer_segmenter* segmenter);

/* Backend, version and device, for people. */
AFFORMER_API const char* afformer_description(const afformer_segmenter* segmenter);

/* What the model says about itself; NULL if `segmenter` is NULL. */
AFFORMER_API const afformer_spec* afformer_get_spec(const afformer_segmenter* segmenter);

/* The same and more, as the JSON that the model carries. */
AFFORMER_API const char* afformer_spec_json(const afformer_segmenter* segmenter);

/* Version of the library, which may be newer than this header's AFFORMER_VERSION. */
AFFORMER_API const char* afformer_version(void);

#ifdef __cplusplus
}
#endif

#endif
