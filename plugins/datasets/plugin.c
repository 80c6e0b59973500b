/* plugin.c: the plugin of data sets. mnist.c and fashion_mnist.c are four IDX files each (idx_dataset.c, idx.c);
 * image_folder.c reads folders of PNG and JPEG (image_file.c), image_tensor.c one such file, for scripts. The fetch_*.py
 * scripts get the published sets. */
#include <drift/plugin.h>

DR_PLUGIN("datasets", "1.0", "MNIST, Fashion-MNIST, folders of PNG and JPEG images")
