/* fashion_mnist.c: pictures of clothes in MNIST's form, 60000 for training and 10000 for testing, 28x28 grey.
 * Xiao, Rasul, Vollgraf 2017 */
#include "idx_dataset.h"

typedef idx_dataset fashion_mnist;

static const dr_param params[] = { IDX_DATASET_PARAMS(fashion_mnist), DR_END };

static const char *const class_names[] = { "T-shirt/top", "trouser", "pullover", "dress", "coat",
                                           "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot" };

static const idx_source set = { .name = "fashion_mnist",
                                .fetch_script = "plugins/datasets/fetch_fashion_mnist.py",
                                .full = &idx_fashion_mnist,
                                .class_names = class_names };

static dr_status open_fashion_mnist(void *self) { return idx_dataset_open(self, &set); }

DR_DATASET(fashion_mnist, "Fashion-MNIST: ten kinds of clothes, 28x28 grey, 60000 for training and 10000 for testing",
           params, .open = open_fashion_mnist, .close = idx_dataset_close, .info = idx_dataset_info,
           .read = idx_dataset_read, .class_name = idx_dataset_class_name)
