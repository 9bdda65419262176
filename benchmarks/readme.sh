#!/bin/sh
# Prints the answer that the README quotes, and makes its screenshots.
set -eu
cd "$(dirname "$0")/.."
./rollcast compare scenarios/checkout-evening.yaml
./rollcast studio scenarios/checkout-evening.yaml --screenshots docs/screenshots
