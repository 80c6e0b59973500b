/* parity.h: Drift against values that PyTorch computed. A file of such values is a safetensors file whose metadata
 * `kind` says what it checks (tests/fixtures/README.md). The rule for each value: max|c - ref| <= 10 tol, exact for
 * integers; a value that was not compared is a failure, so that nothing is left out in silence. */
#ifndef PARITY_H
#define PARITY_H

#include <drift.h>
#include <jansson.h>

typedef enum verdict { PASSED = 0, FAILED, SKIPPED, NOT_TO_CHECK } verdict;

typedef struct parity { /* one file on one device */
    const dr_file *file;
    const char *path;   /* as it is shown: below the folder of all fixtures */
    const char *device; /* "ref"; tensors are made there */
    bool *seen;         /* [tensors of the file] compared, or used as an input */
    int compared, failures;
    double worst; /* largest max|c - ref| / tol */
    char worst_at[128];
} parity;

/* ---- compare.c */
verdict parity_begin(parity *p, const dr_file *file, const char *path, const char *device);
/* Reports each tensor of the file that was neither compared nor used, adds up, and frees what begin took. */
verdict parity_end(parity *p);
__attribute__((format(printf, 2, 3))) void parity_fail(parity *p, const char *format,
                                                       ...); /* counts; prints the first ones, and a pending error */
__attribute__((format(printf, 2, 3))) bool parity_has(const parity *p, const char *format,
                                                      ...); /* a tensor of that name */
/* Marks it as used, makes it on the device: reals as f32, integers as i32. NULL, and a failure, where there is none. */
__attribute__((format(printf, 2, 3))) dr_tensor *parity_input(parity *p, const char *format, ...);
/* Compares with the file's tensor of that name, by its tol.NAME. */
__attribute__((format(printf, 3, 4))) void parity_compare(parity *p, dr_tensor *got, const char *format, ...);
json_t *parity_json(parity *p,
                    const char *key); /* metadata as JSON, to json_decref; NULL and a failure if it is none */

/* ---- one function per kind; each is called once per device */
void parity_ops(parity *p);       /* ops.c: kind op */
void parity_optimizer(parity *p); /* optimizers.c */
void parity_ema_clip(parity *p);  /* optimizers.c */
void parity_dtypes(parity *p);    /* files.c */
void parity_schedule(parity *p);  /* processes.c */
void parity_ddpm_train(parity *p);
void parity_flow_train(parity *p);
void parity_edm_train(parity *p);
void parity_denoise_pairs(parity *p);
void parity_cfg(parity *p);

/* files.c: the files of a folder with a manifest.tsv of verdicts; counts them. */
void parity_bad_files(const char *folder, const char *shown, int count[3]);

#endif
