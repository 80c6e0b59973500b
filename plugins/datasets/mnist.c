/* mnist.c: handwritten digits, 60000 for training and 10000 for testing, 28x28 grey. LeCun, Cortes, Burges; LeCun
 * et al. 1998 */
#include "idx_dataset.h"

typedef idx_dataset mnist;

static const dr_param params[] = { IDX_DATASET_PARAMS(mnist), DR_END };

static const idx_source set = { .name = "mnist",
                                .fetch_script = "plugins/datasets/fetch_mnist.py",
                                .full = &idx_mnist,
                                .subset = &idx_mnist_subset,
                                .subset_folder = "tests/data/mnist" };

static dr_status open_mnist(void *self) { return idx_dataset_open(self, &set); }

DR_DATASET(mnist, "MNIST: handwritten digits, 28x28 grey, 60000 for training and 10000 for testing", params,
           .open = open_mnist, .close = idx_dataset_close, .info = idx_dataset_info, .read = idx_dataset_read)
