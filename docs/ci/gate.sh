#!/usr/bin/env bash
# Evaluate a checkpoint on mini and hold it against a baseline; exits as `finer regress` does (0 passed, 1 regressed,
# 2 not comparable, 3 inconclusive).
#
#   docs/ci/gate.sh pretrained=finer-mini,peft=runs/mini-lora out/gate [BASELINE]
#
# A baseline of your own:  finer baseline make out/gate --output baseline.json.gz
set -euo pipefail
model_args=$1 out=$2 here=$(dirname "$0")
baseline=${3:-$here/baseline-finer-mini.json.gz}
rm -rf "$out"
lmms-eval --model finer_hf --model_args "$model_args" --tasks finer_mini --batch_size 32 \
    --log_samples --output_path "$out"
finer regress --baseline "$baseline" --candidate "$out" --policy "$here/policy.yaml" \
    --junit "$out/gate.xml" --json "$out/gate.json" --html "$out/gate.html" \
    --markdown "${GITHUB_STEP_SUMMARY:-$out/gate.md}"
