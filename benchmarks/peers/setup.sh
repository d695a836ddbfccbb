#!/bin/sh
# Makes one environment per peer below a folder: setup.sh FOLDER [PEER...]
# PEER: mostly, mostlysdk (its generator of many tables), sdv, arfpy, tabddpm, forestdiffusion (generators; all of them when none is named), dpmm (private generators),
# synthcity (time series of records_run.py), sdmetrics, syntheval, mostlyqa (evaluation).
# Each peer has its own, because their pins contradict one another. Needs Python 3.11; PYTHON names another interpreter.
set -eu

folder=${1:?usage: setup.sh FOLDER [PEER...]}
shift
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- mostly sdv arfpy tabddpm forestdiffusion

for peer in "$@"; do
    environment="$folder/$peer"
    "${PYTHON:-python3}" -m venv "$environment"
    if [ "$peer" != forestdiffusion ] && [ "$peer" != dpmm ]; then
        # torch before the rest, so that no other package chooses its build
        "$environment/bin/pip" install --quiet torch==2.13.0
    fi
    pins=$peer
    [ "$peer" = mostlysdk ] && pins=mostly  # the same engine
    [ "$peer" = synthcity ] && pins=tabddpm  # the same package, without what it requires
    "$environment/bin/pip" install --quiet --requirement "$here/requirements-$pins.txt"
    if [ "$peer" = mostlysdk ]; then
        # what its local mode imports, without the clouds' file systems and without its reports
        "$environment/bin/pip" install --quiet --requirement "$here/requirements-mostlysdk.txt"
    fi
    if [ "$pins" = mostly ]; then
        # a dependency may bring CUDA builds of these two, which transformers then loads beside the CPU torch and fails
        "$environment/bin/pip" uninstall --quiet --yes torchvision torchaudio
    fi
    if [ "$pins" = tabddpm ]; then
        # what it requires cannot be had beside today's torch, and its diffusion needs none of it
        "$environment/bin/pip" install --quiet --no-deps synthcity==0.2.12
    fi
    echo "$peer: $environment"
done
