/* SPDX-License-Identifier: Apache-2.0 */
#include "record/record.h"

const char *const vb_state_names[VB_N_STATES] = {
    "ok", "lower-bound", "oom", "backstop", "unsupported", "throttled", "timeout", "error",
};

const char *const vb_provenance_names[2] = { "measured", "planned" };

const char *const vb_category_names[VB_N_CATEGORIES] = {
    "weights", "ema", "optimizer", "gradients", "activations",
    "input", "augmentation", "loss", "workspace", "temporary",
};

const char *const vb_phase_names[VB_N_PHASES] = {
    "setup", "augment", "input", "forward", "loss", "backward",
    "clip", "optimizer", "zero_grad", "ema",
};
