# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.

# shellcheck disable=SC2034 # used where this file is sourced
ALL_TARGETS=(aarch64-unknown-linux-musl arm-unknown-linux-musleabihf)
# shellcheck disable=SC2034
PROGRAMS=(giterd giterctl)

# The project's own folder: what the active Rust toolchain is may depend on it, and cargo runs in it.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-$ROOT/target}")
TOOLCHAIN_DIR=$(realpath -m "${GITER_CROSS_DIR:-$ROOT/target/cross-toolchain}")

say() { printf '[%s %4ds] %s\n' "${0##*/}" "$SECONDS" "$*" >&2; }
die() { say "$*"; exit 1; }

# usage: prints the comment at the head of the running script.
usage() { sed -n '2,/^[^#]/{/^#/{s/^# \{0,1\}//;p}}' "$0"; }

# known_target TARGET: refuses a target that is not one of ours.
known_target() {
  local t
  for t in "${ALL_TARGETS[@]}"; do [ "$t" = "$1" ] && return; done
  die "unknown target '$1': there are ${ALL_TARGETS[*]}"
}

# read_arguments [--target TARGET]... [-- ARGUMENT...]: sets targets=(...), all of ours if none is
# named, and rest=(...).
read_arguments() {
  targets=() rest=()
  while [ $# -gt 0 ]; do
    case $1 in
      --target)    targets+=("${2:?--target wants one}"); shift 2 ;;
      --target=*)  targets+=("${1#*=}"); shift ;;
      --)          rest=("${@:2}"); break ;;
      -h | --help) usage; exit ;;
      *)           usage >&2; die "unknown argument '$1'" ;;
    esac
  done
  [ ${#targets[@]} -gt 0 ] || targets=("${ALL_TARGETS[@]}")
  local t
  for t in "${targets[@]}"; do known_target "$t"; done
}

# emulator TARGET: the emulator of user programs and the processor that TARGET is meant for, as EMU=(...).
# arm1176 is the Pi Zero and the first Pi: it knows ARMv6 and no more.
emulator() {
  case $1 in
    aarch64-*) EMU=(qemu-aarch64-static) ;;
    arm-*)     EMU=(qemu-arm-static -cpu arm1176) ;;
    *)         die "no emulator for $1" ;;
  esac
}

# use_toolchain TARGET...: makes the toolchain where it is missing, and sets it for what follows.
use_toolchain() {
  "$ROOT/cross/toolchain" "$TOOLCHAIN_DIR" "$@"
  # shellcheck disable=SC1091 # written by cross/toolchain
  . "$TOOLCHAIN_DIR/env.sh"
}
