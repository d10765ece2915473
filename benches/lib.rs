//! Benchmarks, in a workspace of their own so that rivals never enter the test build.
