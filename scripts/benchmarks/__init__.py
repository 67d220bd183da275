"""The benchmarks behind `make bench`: what is compared, how it is measured, and how it is told."""
