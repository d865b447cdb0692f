// Compiles the headers that all mutants share, once.
#include "proofs/engine/entry.hpp"
