/* condition_vector.h: time and class as one vector, which all sites of a scheme read.   Ho et al. 2020, Ho & Salimans 2022
 *   v = Linear(SiLU(Linear(time(t)))) + row of the class     v [B,width];  site i gets Linear_i(SiLU(v)), [B, n C_i]
 * time is any block from [B,1] to [B,dim]: sinusoidal_embedding, fourier_embedding, fc_block, a plugin's own. The
 * classes' table has one row more than classes: the null class, for samples without a label or with mask 0. */
#ifndef CONDITIONING_CONDITION_VECTOR_H
#define CONDITIONING_CONDITION_VECTOR_H

#include "fc_sites.h"

/* The first fields of a scheme's struct, and their rows. */
typedef struct condition_vector {
    dr_ints channels;
    int64_t classes, width;
    dr_instance *time;
    dr_module *embedding, *first, *second, *site[DR_MAX_SITES]; /* site: NULL where it gets nothing */
    dr_tensor *rows; /* [classes+1,width]; NULL where there are no classes */
} condition_vector;

#define CONDITION_VECTOR_ROWS(T) \
    { .name = "channels", .type = DR_PARAM_INTS, .offset = DR_FIELD_(T, v.channels, dr_ints), .min = 1, .max = 65536, \
      .doc = "widths of the sites in the network, in order; required" }, \
    { .name = "classes", .type = DR_PARAM_INT, .offset = DR_FIELD_(T, v.classes, int64_t), .def = 10, .max = 1 << 20, \
      .doc = "labels go from 0 to classes - 1; 0: time alone" }, \
    { .name = "width", .type = DR_PARAM_INT, .offset = DR_FIELD_(T, v.width, int64_t), .def = 128, .min = 1, .max = 65536, \
      .doc = "length of the vector that time and class become" }, \
    { .name = "time", .type = DR_PARAM_COMPONENT, .offset = DR_FIELD_(T, v.time, dr_instance *), \
      .choices = "block:sinusoidal_embedding", .doc = "block that embeds the time, from [B,1] to [B,any]" }

/* Declares the children time, mlp.0, mlp.2, the weight classes, and site_1, site_2, ...: Linear(width, n channels[i]). */
dr_status condition_vector_create(condition_vector *v, dr_builder *b, const char *scheme, int64_t n, const char *init);
/* The embedding of t alone, [B,width]; an error naming the scheme where there is no time. */
dr_tensor *condition_vector_time(const condition_vector *v, dr_ctx *ctx, const char *scheme, const dr_batch_cond *c);
/* The classes' rows, [B,width]; NULL (no error) where there are no classes. */
dr_tensor *condition_vector_class(const condition_vector *v, const dr_batch_cond *c, int64_t B);
/* part[k][i] = the k-th of n parts of site i, [B,C_i]. */
dr_status condition_vector_embed(const condition_vector *v, dr_ctx *ctx, const char *scheme, const dr_batch_cond *c,
                                 int64_t n, dr_tensor **const *part);
/* h with its channels last, as a scheme's norm or projection wants them, and back. */
dr_tensor *channels_to_end(dr_tensor *h);
dr_tensor *channels_from_end(dr_tensor *h);

#endif
