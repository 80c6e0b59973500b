/* couplings.c: every coupling gives each image one noise of the batch, and no noise twice, at any size of the batch. */
#include "couplings.h"
#include "kinds.h"

static paired_batch made;

paired_batch *paired_rows(int64_t B, int64_t D, uint32_t stream)
{
    made.B = B, made.D = D;
    made.x0 = noise(DR_F32, DR_SHAPE(B, D, 1, 1), stream);
    made.eps = noise(DR_F32, DR_SHAPE(B, D, 1, 1), stream + 1000);
    dr_tensor_read(made.x0, DR_F64, made.x);
    dr_tensor_read(made.eps, DR_F64, made.e);
    expect_ok("a batch");
    return &made;
}

void pairing_of(const paired_batch *b, dr_tensor *paired, int64_t *order)
{
    static double got[PAIRED_MOST * 8];
    bool used[PAIRED_MOST] = { false };
    expect_made(paired, "pair");
    dr_tensor_read(paired, DR_F64, got);
    expect_ok("what was paired");
    for (int64_t i = 0; i < b->B; i++) {
        int64_t j = 0;
        while (j < b->B && (used[j] || memcmp(got + i * b->D, b->e + j * b->D, (size_t)b->D * sizeof *got) != 0)) j++;
        expect(j < b->B, "image %lld got a noise that is another's or nobody's", (long long)i);
        used[j] = true;
        order[i] = j;
    }
}

static dr_tensor *labels_of(const int32_t *label, int64_t B) { return dr_tensor_from(DR_I32, 1, &B, label); }

static void check_coupling(const dr_component *c)
{
    static const int64_t sizes[] = { 0, 1, 2, 3, 17, 64 };
    int64_t order[PAIRED_MOST];
    dr_instance *coupling = instance_of(c);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const paired_batch *b = paired_rows(sizes[k], 5, (uint32_t)k);
        const int32_t label[64] = { 1, 0, 2, 1 };
        dr_tensor *paired = dr_pair(coupling, b->x0, b->eps, labels_of(label, b->B));
        pairing_of(b, paired, order);
        expect(dr_tensor_view(paired)->rank == 4, "the paired noise is %s", shape_text(paired));
    }
    const paired_batch *b = paired_rows(4, 5, 1);
    expect(!dr_pair(coupling, b->x0, noise(DR_F32, DR_SHAPE(4, 6, 1, 1), 3), NULL),
           "images and noise of two shapes are paired");
    expect_error("should have one shape");
    expect(!dr_pair(coupling, b->x0, b->eps, labels_of((int32_t[]){ 1, 2, 3 }, 3)),
           "4 images with 3 labels are paired");
    expect_error("labels should be i32[4]");
    dr_instance_free(coupling);
}

const check coupling_checks[] = { { "each image gets one noise, and no noise is used twice", check_coupling },
                                  { NULL, NULL } };
