//! `kind: Led`.

use super::fields::{Fields, choice, drift, hardware_name, number};
use crate::api::{
    board::LedState,
    resource::{LedSpec, OnDelete},
};

/// Reads the spec of an LED.
pub(super) fn read(spec: &mut Fields<'_>) -> Option<LedSpec> {
    const ON_DELETE: &[(&str, OnDelete)] = &[("failsafe", OnDelete::Failsafe), ("keep", OnDelete::Keep)];
    let led = spec.required("led", hardware_name);
    let state = state(spec);
    let failsafe = spec.optional("failsafe", |node| number(node, u32::MAX));
    let drift = spec.optional("drift", drift);
    let on_delete = spec.optional("onDelete", |node| choice(node, ON_DELETE));
    Some(LedSpec {
        led: led?,
        state: state?,
        failsafe: failsafe.unwrap_or(0),
        drift: drift.unwrap_or_default(),
        on_delete: on_delete.unwrap_or(OnDelete::Failsafe),
    })
}

/// Exactly one of `brightness` and `trigger`.
fn state(spec: &mut Fields<'_>) -> Option<LedState> {
    match (spec.node("brightness"), spec.node("trigger")) {
        (Some(_), Some(trigger)) => {
            spec.refuse("trigger", trigger.mark(), "brightness stands there too; give one of the two");
            None
        }
        (Some(_), None) => spec.optional("brightness", |node| number(node, u32::MAX)).map(LedState::Brightness),
        (None, Some(_)) => spec.optional("trigger", hardware_name).map(LedState::Trigger),
        (None, None) => {
            spec.missing(&["brightness", "trigger"], "an Led has either brightness or trigger");
            None
        }
    }
}
