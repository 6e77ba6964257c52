"""Typed, validated params: one module per section of `params.yaml`.

DVC hashes the raw YAML values; the code only ever sees these models. Unknown keys, wrong types,
out-of-range values and impossible combinations are refused with the key's path, the value, and
what is allowed. Nothing is imported here, so that a stage depends on the sections that it reads.
"""
