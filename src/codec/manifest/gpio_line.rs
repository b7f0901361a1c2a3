//! `kind: GpioLine`.

use super::fields::{Fields, boolean, choice, drift, hardware_name};
use crate::api::{
    board::{Bias, Level, LineConfig},
    resource::{GpioLineSpec, OnDelete},
};

const LEVELS: &[(&str, Level)] = &[("high", Level::High), ("low", Level::Low)];
const BIASES: &[(&str, Bias)] =
    &[("pull-up", Bias::PullUp), ("pull-down", Bias::PullDown), ("disabled", Bias::Disabled)];
const ON_DELETE: &[(&str, OnDelete)] = &[("failsafe", OnDelete::Failsafe), ("keep", OnDelete::Keep)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Input,
    Output,
}

/// Reads the spec of a GPIO line.
pub(super) fn read(spec: &mut Fields<'_>) -> Option<GpioLineSpec> {
    const DIRECTIONS: &[(&str, Direction)] = &[("input", Direction::Input), ("output", Direction::Output)];
    let line = spec.required("line", hardware_name);
    let direction = spec.required("direction", |node| choice(node, DIRECTIONS));
    let (value, failsafe) = levels(spec, direction);
    let active_low = spec.optional("activeLow", boolean);
    let bias = spec.optional("bias", |node| choice(node, BIASES));
    let drift = spec.optional("drift", drift);
    let on_delete = spec.optional("onDelete", |node| choice(node, ON_DELETE));
    let output = direction? == Direction::Output;
    Some(GpioLineSpec {
        line: line?,
        config: LineConfig {
            output: if output { Some(value?) } else { None },
            active_low: active_low.unwrap_or(false),
            bias,
        },
        failsafe: output.then(|| failsafe.unwrap_or(Level::Low)),
        drift: drift.unwrap_or_default(),
        on_delete: on_delete.unwrap_or(OnDelete::Failsafe),
    })
}

/// `value` and `failsafe`, which only an output has.
fn levels(spec: &mut Fields<'_>, direction: Option<Direction>) -> (Option<Level>, Option<Level>) {
    if direction == Some(Direction::Input) {
        for name in ["value", "failsafe"] {
            if let Some(node) = spec.node(name) {
                spec.refuse(name, node.mark(), "an input is not driven; leave the field out, or make it an output");
            }
        }
        return (None, None);
    }
    let value = match direction {
        Some(_) => spec.required("value", |node| choice(node, LEVELS)),
        None => spec.optional("value", |node| choice(node, LEVELS)),
    };
    let failsafe = spec.optional("failsafe", |node| choice(node, LEVELS));
    (value, failsafe)
}
