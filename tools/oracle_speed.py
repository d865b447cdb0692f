#!/usr/bin/python3
"""How fast is the 50-digit oracle? Times `etalon eval softmax_attention:safe` in Real50 on one core, and the same loop
in mpmath with 50 digits on fewer tokens; both are given per pair of query and key, and their ratio is printed.

    tools/oracle_speed.py [--etalon build/bin/etalon] [--tokens 2048] [--mpmath-tokens 96] [--json FILE]
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import mpmath
import numpy

CHANNELS = 64


def draw(tokens):
    random = numpy.random.default_rng(1)
    return {name: random.standard_normal((tokens, CHANNELS)) for name in ("query", "key", "value")}


def time_etalon(program, tokens):
    """Seconds of the whole command, reading and writing included."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "in")
        os.mkdir(source)
        for name, array in draw(tokens).items():
            numpy.save(os.path.join(source, name + ".npy"), array)
        command = [program, "eval", "softmax_attention:safe", "--in", source, "--set", "scale=0.125",
                   "--out", os.path.join(folder, "out")]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def time_mpmath(tokens):
    """Seconds of the same loop: scores, maximum, weights, sums, one division an output."""
    mpmath.mp.dps = 50
    arrays = {name: [[mpmath.mpf(float(x)) for x in row] for row in array] for name, array in draw(tokens).items()}
    scale = mpmath.mpf(0.125)
    start = time.perf_counter()
    for query in arrays["query"]:
        scores = []
        for key in arrays["key"]:
            total = mpmath.mpf(0)
            for c in range(CHANNELS):
                total += query[c] * key[c]
            scores.append(scale * total)
        largest = max(scores)
        weights = [mpmath.exp(score - largest) for score in scores]
        below = sum(weights, mpmath.mpf(0))
        for c in range(CHANNELS):
            total = mpmath.mpf(0)
            for weight, value in zip(weights, arrays["value"]):
                total += weight * value[c]
            total /= below
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--etalon", default="build/bin/etalon")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--mpmath-tokens", type=int, default=96)
    parser.add_argument("--json")
    given = parser.parse_args()
    result = {"channels": CHANNELS, "tokens": given.tokens, "mpmath_tokens": given.mpmath_tokens}
    result["seconds"] = time_etalon(given.etalon, given.tokens)
    result["seconds_mpmath"] = time_mpmath(given.mpmath_tokens)
    result["nanoseconds_a_pair"] = result["seconds"] / given.tokens**2 * 1e9
    result["nanoseconds_a_pair_mpmath"] = result["seconds_mpmath"] / given.mpmath_tokens**2 * 1e9
    result["ratio"] = result["nanoseconds_a_pair_mpmath"] / result["nanoseconds_a_pair"]
    print("Real50, {tokens} tokens of {channels} channels: {seconds:.1f} s ({nanoseconds_a_pair:.0f} ns a pair)\n"
          "mpmath, {mpmath_tokens} tokens: {seconds_mpmath:.1f} s ({nanoseconds_a_pair_mpmath:.0f} ns a pair)\n"
          "ratio {ratio:.1f}".format(**result))
    if given.json:
        with open(given.json, "w", encoding="utf-8") as out:
            json.dump(result, out, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
