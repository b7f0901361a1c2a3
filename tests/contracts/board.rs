//! What every `Board` owes, as `reconcile::ports` says it. Each suite takes a world with a fresh board in it.

use std::sync::Arc;

use giter_edge::{
    api::{
        Drift, Reason, Spec,
        board::{Bias, LedState, Level, LineConfig},
        resource::{Content, FilePath, FileSpec, GpioLineSpec, LedSpec, Mode, OnDelete},
    },
    reconcile::{
        goal::{Goal, Observed, Step},
        ports::Board,
    },
};
use sha2::{Digest, Sha256};

/// A board and what is around it.
pub(crate) trait World {
    /// The board.
    fn board(&mut self) -> &mut dyn Board;
}

/// A board whose files can be reached without it.
pub(crate) trait FileWorld: World {
    /// Where a file of that name may lie; nothing is there yet.
    fn allowed(&self, name: &str) -> FilePath;
    /// Where no file may lie.
    fn forbidden(&self) -> FilePath;
    /// Writes a file behind the board's back.
    fn put(&mut self, path: &FilePath, content: &[u8]);
}

/// A board one of whose lines can be moved from outside.
pub(crate) trait LineWorld: World {
    /// The line; nobody holds it.
    fn line(&self) -> &str;
    /// Gives it an electrical level.
    fn force(&mut self, level: Level);
}

/// A board with an LED that has 255 steps and the triggers `none` and `heartbeat`; `none` is active.
pub(crate) trait LedWorld: World {
    /// The LED.
    fn led(&self) -> &str;
    /// Does what the hardware does by itself after a step.
    fn settle(&mut self) {}
}

/// Files are written whole, set, removed and seen, below the roots alone.
pub(crate) fn files(world: &mut dyn FileWorld) {
    let path = world.allowed("folder/motd");
    let forbidden = world.forbidden();
    let refused = world.board().bind(&file_spec(&forbidden, "x")).unwrap_err();
    assert_eq!(refused.reason(), Reason::PathNotAllowed);
    let goal = world.board().bind(&file_spec(&path, "hello\n")).unwrap();
    let mode = "0640".parse().unwrap();
    assert_eq!(goal, Goal::File { path: path.clone(), content: bytes("hello\n"), mode, uid: None, gid: None });

    assert_eq!(world.board().observe(&goal).unwrap(), Observed::NoFile);
    world.board().apply(&Step::RemoveFile { path: path.clone() }).unwrap();
    for content in ["hello\n", "hello\n", "", "a longer greeting\n"] {
        world.board().apply(&write(&path, content, mode)).unwrap();
        assert_eq!(seen(world.board(), &goal), (content.len() as u64, sha256(content), mode.bits()));
    }

    world.put(&path, b"tampered");
    assert_eq!(seen(world.board(), &goal), (8, sha256("tampered"), mode.bits()));

    let mode: Mode = "0600".parse().unwrap();
    let set = Step::SetFileMode { path: path.clone(), mode, uid: None, gid: None };
    for _ in 0..2 {
        world.board().apply(&set).unwrap();
        assert_eq!(seen(world.board(), &goal), (8, sha256("tampered"), 0o600));
    }
    for _ in 0..2 {
        world.board().apply(&Step::RemoveFile { path: path.clone() }).unwrap();
        assert_eq!(world.board().observe(&goal).unwrap(), Observed::NoFile);
    }

    for step in [write(&forbidden, "x", mode), Step::RemoveFile { path: forbidden.clone() }] {
        assert_eq!(world.board().apply(&step).unwrap_err().reason(), Reason::PathNotAllowed, "{step:?}");
    }
}

/// Lines are held, reconfigured, seen and let go.
pub(crate) fn lines(world: &mut dyn LineWorld) {
    let output = |level| LineConfig { output: Some(level), active_low: false, bias: None };
    let line = world.line().to_owned();
    assert_eq!(
        world.board().bind(&line_spec("NO-SUCH-LINE", output(Level::High))).unwrap_err().reason(),
        Reason::UnknownLine
    );
    let mut goal = |config| world.board().bind(&line_spec(&line, config)).unwrap();
    let (high, low) = (goal(output(Level::High)), goal(output(Level::Low)));
    let Goal::Line { line, config } = high.clone() else { panic!("a line binds to {high:?}") };
    assert_eq!(config, output(Level::High));
    let hold = |config| Step::HoldLine { line: line.clone(), config };
    let held = |config: LineConfig, level| Observed::Line { held: Some(config), level: Some(level) };

    let Observed::Line { held: None, .. } = world.board().observe(&high).unwrap() else { panic!("it is not held yet") };
    for level in [Level::High, Level::High, Level::Low] {
        world.board().apply(&hold(output(level))).unwrap();
        assert_eq!(
            world.board().observe(if level == Level::High { &high } else { &low }).unwrap(),
            held(output(level), level)
        );
    }

    world.force(Level::High);
    assert_eq!(world.board().observe(&low).unwrap(), held(output(Level::Low), Level::High), "a moved line is not seen");
    world.board().apply(&hold(output(Level::Low))).unwrap();
    assert_eq!(
        world.board().observe(&low).unwrap(),
        held(output(Level::Low), Level::Low),
        "a moved line is not put back"
    );

    let inverted = LineConfig { active_low: true, ..output(Level::High) };
    world.board().apply(&hold(inverted)).unwrap();
    let goal = Goal::Line { line: line.clone(), config: inverted };
    assert_eq!(world.board().observe(&goal).unwrap(), held(inverted, Level::High));
    world.force(Level::High);
    assert_eq!(
        world.board().observe(&goal).unwrap(),
        held(inverted, Level::Low),
        "activeLow does not invert what is seen"
    );

    let input = LineConfig { output: None, active_low: false, bias: Some(Bias::PullDown) };
    let goal = Goal::Line { line: line.clone(), config: input };
    world.board().apply(&hold(input)).unwrap();
    for level in [Level::High, Level::Low] {
        world.force(level);
        assert_eq!(world.board().observe(&goal).unwrap(), held(input, level));
    }

    for last in [Some(output(Level::High)), None, Some(output(Level::Low))] {
        world.board().apply(&Step::ReleaseLine { line: line.clone(), last }).unwrap();
        let seen = world.board().observe(&high).unwrap();
        assert!(matches!(seen, Observed::Line { held: None, .. }), "{seen:?} after it was let go");
    }
    world.board().apply(&hold(output(Level::High))).unwrap();
    assert_eq!(world.board().observe(&high).unwrap(), held(output(Level::High), Level::High));
}

/// LEDs shine, follow triggers, and refuse what they cannot do.
pub(crate) fn leds(world: &mut dyn LedWorld) {
    let name = world.led().to_owned();
    let off = LedState::Brightness(0);
    assert_eq!(world.board().bind(&led_spec("NO-SUCH-LED", &off)).unwrap_err().reason(), Reason::UnknownLed);
    let Goal::Led { led, .. } = world.board().bind(&led_spec(&name, &off)).unwrap() else {
        panic!("an LED binds to it")
    };
    let heartbeat = LedState::Trigger("heartbeat".into());
    let goal = |state: &LedState| Goal::Led { led: led.clone(), state: state.clone() };

    for state in [LedState::Brightness(255), heartbeat.clone(), heartbeat, LedState::Brightness(17), off] {
        world.board().apply(&Step::SetLed { led: led.clone(), state: state.clone() }).unwrap();
        world.settle();
        assert_eq!(world.board().observe(&goal(&state)).unwrap(), Observed::Led(state));
    }
    for (state, reason) in [
        (LedState::Brightness(256), Reason::LedFailed),
        (LedState::Trigger("no-such-trigger".into()), Reason::UnknownTrigger),
    ] {
        let step = Step::SetLed { led: led.clone(), state: state.clone() };
        assert_eq!(world.board().apply(&step).unwrap_err().reason(), reason);
        world.settle();
        assert_eq!(world.board().observe(&goal(&state)).unwrap(), Observed::Led(LedState::Brightness(0)));
    }
    let none = LedState::Trigger("none".into());
    let bound = world.board().bind(&led_spec(&name, &none)).unwrap();
    assert_eq!(world.board().observe(&bound).unwrap(), Observed::Led(LedState::Brightness(0)));
}

fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    Some(Sha256::digest(text).into())
}

fn write(path: &FilePath, content: &str, mode: Mode) -> Step {
    Step::WriteFile { path: path.clone(), content: bytes(content), mode, uid: None, gid: None }
}

/// Size, digest and mode of a file that is there.
fn seen(board: &mut dyn Board, goal: &Goal) -> (u64, Option<[u8; 32]>, u32) {
    match board.observe(goal).unwrap() {
        Observed::File { size, sha256, mode, .. } => (size, sha256, mode),
        other => panic!("{other:?} is no file"),
    }
}

fn file_spec(path: &FilePath, content: &str) -> Spec {
    Spec::File(FileSpec {
        path: path.clone(),
        content: Content::Bytes(bytes(content)),
        mode: "0640".parse().unwrap(),
        owner: None,
        drift: Drift::Correct,
        on_delete: OnDelete::Remove,
    })
}

fn line_spec(line: &str, config: LineConfig) -> Spec {
    Spec::GpioLine(GpioLineSpec {
        line: line.into(),
        config,
        failsafe: Some(Level::Low),
        drift: Drift::Correct,
        on_delete: OnDelete::Failsafe,
    })
}

fn led_spec(led: &str, state: &LedState) -> Spec {
    Spec::Led(LedSpec {
        led: led.into(),
        state: state.clone(),
        failsafe: 0,
        drift: Drift::Correct,
        on_delete: OnDelete::Failsafe,
    })
}
