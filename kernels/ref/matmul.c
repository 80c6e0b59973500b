/* matmul.c: matmul, a product of matrices whose leading axes are broadcast; linear, y = x W^T + bias. */
#include "element.h"

/* Row-major index of the matrix that a's (or b's) leading axes hold for the n-th matrix of the output. */
static int64_t matrix_of(const dr_view *v, const dr_view *y, int64_t n)
{
    int64_t place = 0, stride = 1;
    for (int d = y->rank - 3, own = v->rank - 3; own >= 0; d--, own--) {
        if (v->shape[own] != 1) place += n % y->shape[d] * stride;
        stride *= v->shape[own];
        n /= y->shape[d];
    }
    return place;
}

/* a [..,M,K] b [..,K,N] -> y [..,M,N]; a transposed matrix lies as [K,M] or [N,K] */
static void matmul_ref(const dr_kargs *a)
{
    const dr_matmul_attr *attr = a->attr;
    const dr_view *y = &a->out[0];
    const int rank = a->in[0].rank;
    const int64_t M = y->shape[y->rank - 2], N = y->shape[y->rank - 1];
    const int64_t K = a->in[0].shape[attr->transpose_a ? rank - 2 : rank - 1];
    const int64_t matrices = dr_ref_count(y, 0, y->rank - 2);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;

    for (int64_t n = 0; n < matrices; n++) {
        const double *left = m.in[0] + matrix_of(&a->in[0], y, n) * M * K;
        const double *right = m.in[1] + matrix_of(&a->in[1], y, n) * K * N;
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++) {
                double sum = 0;
                for (int64_t k = 0; k < K; k++) {
                    double l = left[attr->transpose_a ? k * M + i : i * K + k];
                    sum += l * right[attr->transpose_b ? j * K + k : k * N + j];
                }
                m.out[0][(n * M + i) * N + j] = sum;
            }
    }
    dr_ref_close(&m);
}

static void linear_ref(const dr_kargs *a) /* x [..,K], weight [N,K], bias [N] or NULL -> y [..,N] */
{
    const int64_t N = a->in[1].shape[0], K = a->in[1].shape[1], rows = dr_ref_count(&a->in[0], 0, a->in[0].rank - 1);
    dr_ref_operands m;
    if (!dr_ref_open(&m, a)) return;
    const double *x = m.in[0], *weight = m.in[1], *bias = m.in[2];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < N; j++) {
            double sum = bias ? bias[j] : 0;
            for (int64_t k = 0; k < K; k++) sum += x[i * K + k] * weight[j * K + k];
            m.out[0][i * N + j] = sum;
        }
    dr_ref_close(&m);
}

DR_KERNEL(matmul, DR_ANY_DTYPE, matmul_ref)
DR_KERNEL(linear, DR_ANY_DTYPE, linear_ref)
