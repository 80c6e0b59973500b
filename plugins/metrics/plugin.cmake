# Covariances and neighbours are loops over millions of numbers.
target_compile_options(${plugin} PRIVATE -O3)
