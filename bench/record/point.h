/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_RECORD_POINT_H
#define VB_RECORD_POINT_H

/* A point: one configuration whose memory is asked for. Plain values, so that it can be copied,
 * compared and sent anywhere. sweep/keys.h reads and prints it; it decides nothing.
 */

#include <stdbool.h>
#include <stdint.h>

enum vb_precision { VB_FP32, VB_FP16, VB_BF16 }; /* fp16 and bf16: autocast over fp32 weights */
enum vb_mosaic { VB_MOSAIC_OFF, VB_MOSAIC_CPU, VB_MOSAIC_ON }; /* composed: not, host, device */
enum vb_optimizer { VB_SGD, VB_ADAM, VB_ADAMW };
/* One step again and again; AutoBatch's profile of several batch sizes; the phases of a whole run.
 */
enum vb_workload { VB_TRAIN, VB_AUTOBATCH, VB_WHOLE_RUN };
enum vb_choice { VB_AS_RECIPE, VB_ON, VB_OFF };
enum vb_pool_kind { VB_POOL_CACHING, VB_POOL_NATIVE };
/* Where the scratch of operators comes from: the pool, as PyTorch has it, or the device beside the
 * pool, so that the pool's figures do not depend on whose kernels run. */
enum vb_scratch { VB_SCRATCH_POOL, VB_SCRATCH_OUTSIDE };
/* How several GPUs share a batch: a process each, whose gradients are averaged
 * (DistributedDataParallel); or one process with a copy of the model on each (DataParallel). */
enum vb_strategy { VB_DDP, VB_DP };
enum { VB_MAX_GPUS = 16 }; /* of one machine */

struct vb_point {
    char model[256]; /* a built-in name, or the path of a YAML file */
    /* Whose code trains, with its version, and PyTorch's version: step/recipe.h. "": the newest. */
    char trainer[64];
    char torch[32];
    enum vb_workload workload;
    uint32_t batch;   /* of all GPUs together */
    uint32_t imgsz;   /* pixels a side; of images that are not square the longer one */
    uint32_t classes; /* 0: as many as the model's file says */
    bool single_cls;  /* the model tells one class apart, whatever the data has */
    /* Images are not square: the shorter side is this share of the longer one, brought to strides
     * as loaders do (step/sized.h). 0: they are. No mosaics are composed then. */
    double rect;
    uint32_t freeze; /* the first so many of the model's layers are not trained */
    enum vb_precision precision;
    enum vb_mosaic mosaic;
    bool mixup;      /* each image is a mean of two mosaics; on the device alone */
    bool copy_paste; /* parts of a mosaic's mirror image are put on it; likewise */
    enum vb_optimizer optimizer;
    uint32_t accumulate; /* batches whose gradients are summed before a step; 0: as the recipe */
    uint32_t targets;    /* boxes an image as trained on, the mean */
    uint32_t most;       /* boxes of the fullest image; 0: as targets.h works it out */
    enum vb_choice thop; /* AutoBatch counts operations first, which takes that package */
    bool ema;
    enum vb_choice deterministic; /* cuDNN plans marked nondeterministic are left out */
    enum vb_choice benchmark;     /* torch.backends.cudnn.benchmark */
    bool tf32;                    /* fp32 convolutions may use tensor cores */
    bool channels_last;
    bool multiscale; /* each batch is brought to a size drawn for it: --multi-scale */
    enum vb_pool_kind pool;
    enum vb_scratch workspace;
    char alloc_conf[256]; /* as PYTORCH_CUDA_ALLOC_CONF's text */
    uint32_t warmup;      /* steps before the ones that count */
    uint32_t steps;
    /* Several GPUs. 0 and 1 GPU with no larger world: one, and what follows says nothing. */
    uint32_t gpus; /* of this machine */
    enum vb_strategy strategy;
    uint32_t world;   /* processes on all machines together; 0: one for each GPU here */
    uint32_t zero;    /* 1: the optimizer's state is shared out over them: ZeRO-1 */
    bool bucket_view; /* gradients are parts of DDP's buckets: gradient_as_bucket_view */
    /* Whose program is built, of the GPUs here. Not asked for: whoever works the point out goes
     * through them, and a record is of the heaviest. */
    uint32_t rank;
};

/* Processes or, with DataParallel, GPUs that share the batch; 1: nothing is shared. */
uint32_t vb_world_of(const struct vb_point *point);

/* Images of a batch of so many that a GPU takes forward: with DDP an equal share, which loses what
 * is left over; with DataParallel as torch.chunk() cuts, so that the last may have fewer or none.
 */
uint32_t vb_share_of(const struct vb_point *point, uint32_t batch, uint32_t rank);

/* Images that the program of point->rank is built for: DataParallel's first GPU loads all. */
uint32_t vb_loaded_of(const struct vb_point *point);

bool vb_is_ddp(const struct vb_point *point);
bool vb_is_dp(const struct vb_point *point);

/* A GPU with DataParallel's copy of the model and nothing else. */
bool vb_is_replica(const struct vb_point *point);

/* Classes that its model is made for; 0: as many as the model's file says. */
static inline uint32_t vb_point_classes(const struct vb_point *point)
{
    return point->single_cls ? 1 : point->classes;
}

/* What a point is unless something else is said. `model`, `batch` and `imgsz` are left empty. */
struct vb_point vb_point_default(void);

/* The names of an enum's values, in its order, for parsing, printing and error texts. */
extern const char *const vb_precision_names[3];
extern const char *const vb_mosaic_names[3];
extern const char *const vb_optimizer_names[3];
extern const char *const vb_workload_names[3];
extern const char *const vb_choice_names[3];
extern const char *const vb_pool_kind_names[2];
extern const char *const vb_scratch_names[2];
extern const char *const vb_strategy_names[2];

#endif
