/* case_table.h: how cases are written down:
 *   add_case("conv2d", ATTR(dr_conv2d_attr, 1, 1), INPUTS(SHAPED(NORMAL, 2, 3, 8, 8), SHAPED(NORMAL, 4, 3, 3, 3)))
 * Each op_cases_*.c has those of some op families, and op_cases.c puts them together. */
#ifndef CASE_TABLE_H
#define CASE_TABLE_H

#include "op_cases.h"

static const int64_t CHANNELS[] = { 1, 3, 5, 17, 33, 65 };
enum { CHANNEL_COUNT = sizeof CHANNELS / sizeof *CHANNELS };

#define SHAPED(kind, ...) \
    ((case_input){ \
        .values = kind, .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .shape = { __VA_ARGS__ } })
/* of the statistics' dtype: f64 where the network computes in f64, else f32 */
#define STATISTIC(kind, ...) \
    ((case_input){ .values = kind, \
                   .statistic = true, \
                   .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), \
                   .shape = { __VA_ARGS__ } })
#define SCALAR_STATISTIC(kind) ((case_input){ .values = kind, .statistic = true })
#define SCALAR(kind) ((case_input){ .values = kind })
#define ID(limit_, ...) \
    ((case_input){ .values = IDS, \
                   .limit = limit_, \
                   .rank = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), \
                   .shape = { __VA_ARGS__ } })
#define NONE ((case_input){ .values = ABSENT })
#define INPUTS(...) \
    (const case_input[]){ __VA_ARGS__ }, (int)(sizeof((case_input[]){ __VA_ARGS__ }) / sizeof(case_input))
#define ATTR(type, ...) &(type){ __VA_ARGS__ }, sizeof(type)
#define NO_ATTR ATTR(dr_none_attr, 0)
#define LIST(...) \
    { \
        sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), { __VA_ARGS__ } \
    }
#define EMPTY_LIST \
    { \
        0, { 0 } \
    }

op_case *add_case(const char *op, const void *attr, size_t attr_size, const case_input *in, int n_in); /* copies all */

static inline case_input filled(case_input shape, case_values values)
{
    shape.values = values;
    return shape;
}

void add_convolutions(void);    /* op_cases_convolution.c: convolutions, products */
void add_normalisations(void); /* op_cases_normalisation.c: norms, softmax, attention, images */

#endif
