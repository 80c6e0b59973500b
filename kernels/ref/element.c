/* element.c: elements of any dtype as doubles, whole tensors as row-major arrays of doubles. */
#include "element.h"

/* ---- 16-bit floats: sign, exponent, then `fraction` bits. f16 has 10 fraction bits, bf16 has 7. ------------------ */

static double decode16(uint16_t bits, int fraction)
{
    const int exponent_ones = (1 << (15 - fraction)) - 1, bias = exponent_ones / 2;
    int exponent = (bits >> fraction) & exponent_ones;
    int mantissa = bits & ((1 << fraction) - 1);
    double sign = bits & 0x8000 ? -1.0 : 1.0;
    if (exponent == exponent_ones) return mantissa ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(mantissa, 1 - bias - fraction); /* subnormal */
    return sign * ldexp((1 << fraction) + mantissa, exponent - bias - fraction);
}

static uint16_t encode16(double x, int fraction)
{
    const int exponent_ones = (1 << (15 - fraction)) - 1, bias = exponent_ones / 2;
    const int infinity = exponent_ones << fraction;
    const int sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return (uint16_t)(sign | infinity | 1 << (fraction - 1));
    if (isinf(x)) return (uint16_t)(sign | infinity);
    if (x == 0) return (uint16_t)sign;
    int exponent = ilogb(x);
    if (exponent < 1 - bias) exponent = 1 - bias; /* subnormals share the smallest exponent */
    if (exponent > bias) return (uint16_t)(sign | infinity);
    double steps = nearbyint(ldexp(fabs(x), fraction - exponent)); /* ties to even */
    /* A normal number's leading 1 is in steps and adds one to the exponent, hence the - 1. Rounding up past the largest
     * mantissa carries into the exponent, and past the largest exponent gives infinity. */
    return (uint16_t)(sign | (((exponent + bias - 1) << fraction) + (int)steps));
}

/* ---- one element at an offset in memory -------------------------------------------------------------------------- */

static double load_at(const dr_view *v, int64_t offset)
{
    switch (v->dtype) {
    case DR_F32: return ((const float *)v->data)[offset];
    case DR_F64: return ((const double *)v->data)[offset];
    case DR_BF16: return decode16(((const uint16_t *)v->data)[offset], 7);
    case DR_F16: return decode16(((const uint16_t *)v->data)[offset], 10);
    case DR_I32: return ((const int32_t *)v->data)[offset];
    case DR_I64: return (double)((const int64_t *)v->data)[offset];
    case DR_U8: return ((const uint8_t *)v->data)[offset];
    default: return ((const uint8_t *)v->data)[offset] != 0; /* DR_BOOL */
    }
}

static int64_t clamp_integer(double x, int64_t low, int64_t high)
{
    if (isnan(x)) return 0;
    if (x <= (double)low) return low;
    if (x >= (double)high) return high;
    return (int64_t)x;
}

static void store_at(const dr_view *v, int64_t offset, double x)
{
    switch (v->dtype) {
    case DR_F32: ((float *)v->data)[offset] = (float)x; break;
    case DR_F64: ((double *)v->data)[offset] = x; break;
    case DR_BF16: ((uint16_t *)v->data)[offset] = encode16(x, 7); break;
    case DR_F16: ((uint16_t *)v->data)[offset] = encode16(x, 10); break;
    case DR_I32: ((int32_t *)v->data)[offset] = (int32_t)clamp_integer(x, INT32_MIN, INT32_MAX); break;
    case DR_I64: ((int64_t *)v->data)[offset] = clamp_integer(x, INT64_MIN, INT64_MAX); break;
    case DR_U8: ((uint8_t *)v->data)[offset] = (uint8_t)clamp_integer(x, 0, UINT8_MAX); break;
    default: ((uint8_t *)v->data)[offset] = x != 0; break; /* DR_BOOL */
    }
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

static int64_t offset_of(const dr_view *v, int64_t i)
{
    int64_t offset = 0;
    for (int d = v->rank - 1; d >= 0; d--) {
        offset += i % v->shape[d] * v->stride[d];
        i /= v->shape[d];
    }
    return offset;
}

double dr_ref_load(const dr_view *v, int64_t i) { return load_at(v, offset_of(v, i)); }

void dr_ref_store(const dr_view *v, int64_t i, double x) { store_at(v, offset_of(v, i), x); }

int64_t dr_ref_next(const dr_view *v, int64_t index[DR_MAX_RANK], int64_t offset)
{
    for (int d = v->rank - 1; d >= 0; d--) {
        offset += v->stride[d];
        if (++index[d] < v->shape[d]) return offset;
        offset -= v->shape[d] * v->stride[d]; /* back to 0 on this axis, one on in the axis before */
        index[d] = 0;
    }
    return offset;
}

dr_view dr_ref_expand(const dr_view *v, const dr_view *like)
{
    dr_view wide = *like;
    wide.data = v->data;
    wide.dtype = v->dtype;
    for (int d = 0; d < like->rank; d++) {
        int own = d - (like->rank - v->rank); /* the same axis in v */
        bool repeated = own < 0 || v->shape[own] == 1;
        wide.stride[d] = repeated ? 0 : v->stride[own];
    }
    return wide;
}

/* ---- whole tensors ----------------------------------------------------------------------------------------------- */

void dr_ref_read(const dr_view *v, double *to)
{
    int64_t index[DR_MAX_RANK] = { 0 }, offset = 0, n = dr_numel(v);
    for (int64_t i = 0; i < n; i++) {
        to[i] = load_at(v, offset);
        offset = dr_ref_next(v, index, offset);
    }
}

void dr_ref_write(const dr_view *v, const double *from)
{
    int64_t index[DR_MAX_RANK] = { 0 }, offset = 0, n = dr_numel(v);
    for (int64_t i = 0; i < n; i++) {
        store_at(v, offset, from[i]);
        offset = dr_ref_next(v, index, offset);
    }
}

static bool open_operands(dr_ref_operands *m, const dr_kargs *a, bool broadcast)
{
    int64_t total = 1; /* never zero, so that empty tensors have an address too */
    for (int i = 0; i < a->n_in; i++) {
        if (a->in[i].rank >= 0) total += dr_numel(broadcast ? &a->out[0] : &a->in[i]);
    }
    for (int j = 0; j < a->n_out; j++) total += dr_numel(&a->out[j]);

    double **pointers = calloc((size_t)(a->n_in + a->n_out) + 1, sizeof(double *));
    *m = (dr_ref_operands){ .a = a, .in = pointers, .memory = calloc((size_t)total, sizeof(double)) };
    if (!pointers || !m->memory) {
        dr_ref_drop(m);
        dr_fail(DR_ENOMEM, "%s: no memory for %lld doubles", a->op, (long long)total);
        return false;
    }
    m->out = pointers + a->n_in;
    double *next = m->memory;
    for (int i = 0; i < a->n_in; i++) {
        if (a->in[i].rank < 0) continue;
        dr_view v = broadcast ? dr_ref_expand(&a->in[i], &a->out[0]) : a->in[i];
        m->in[i] = next;
        dr_ref_read(&v, next);
        next += dr_numel(&v);
    }
    for (int j = 0; j < a->n_out; j++) {
        m->out[j] = next;
        next += dr_numel(&a->out[j]);
    }
    return true;
}

bool dr_ref_open(dr_ref_operands *m, const dr_kargs *a) { return open_operands(m, a, false); }

bool dr_ref_open_broadcast(dr_ref_operands *m, const dr_kargs *a) { return open_operands(m, a, true); }

void dr_ref_close(dr_ref_operands *m)
{
    for (int j = 0; j < m->a->n_out; j++) dr_ref_write(&m->a->out[j], m->out[j]);
    dr_ref_drop(m);
}

void dr_ref_drop(dr_ref_operands *m)
{
    free(m->in);
    free(m->memory);
}
