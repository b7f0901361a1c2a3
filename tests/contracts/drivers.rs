//! The real drivers on a temporary folder: on the simulated board, and on a folder that looks like the LED class.

use std::{fs, path::PathBuf};

use giter_edge::{
    api::{board::Level, resource::FilePath},
    drivers::{Drivers, Settings, boards},
    reconcile::ports::Board,
};
use tempfile::TempDir;

use crate::board::{FileWorld, LedWorld, LineWorld, World};

fn drivers(board: &str, settings: Settings) -> Drivers {
    Drivers::new(boards().iter().find(|table| table.name == board).unwrap(), settings)
}

/// The simulated board with its file, and a root for files.
pub(crate) struct Sim {
    dir: TempDir,
    drivers: Drivers,
}

impl Sim {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("etc");
        fs::create_dir(&root).unwrap();
        let sim = Some(dir.path().join("sim.toml"));
        let drivers = drivers("sim", Settings { file_roots: vec![root], sim, ..Settings::default() });
        Self { dir, drivers }
    }

    fn path(&self, name: &str) -> FilePath {
        self.dir.path().join(name).to_str().unwrap().parse().unwrap()
    }
}

impl World for Sim {
    fn board(&mut self) -> &mut dyn Board {
        &mut self.drivers
    }
}

impl FileWorld for Sim {
    fn allowed(&self, name: &str) -> FilePath {
        self.path(&format!("etc/{name}"))
    }

    fn forbidden(&self) -> FilePath {
        self.path("elsewhere")
    }

    fn put(&mut self, path: &FilePath, content: &[u8]) {
        fs::write(path.as_path(), content).unwrap();
    }
}

impl LineWorld for Sim {
    fn line(&self) -> &str {
        "PIN11"
    }

    fn force(&mut self, level: Level) {
        fs::write(self.dir.path().join("sim.toml"), format!("[gpio]\nGPIO17 = \"{level}\"\n")).unwrap();
    }
}

impl LedWorld for Sim {
    fn led(&self) -> &str {
        "ACT"
    }
}

/// A folder that looks like `/sys/class/leds`, on a machine where the kernel's names are taken.
pub(crate) struct KernelLeds {
    led: PathBuf,
    drivers: Drivers,
    _dir: TempDir,
}

impl KernelLeds {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let led = dir.path().join("ACT");
        fs::create_dir(&led).unwrap();
        for (attribute, value) in [("max_brightness", "255"), ("brightness", "0"), ("trigger", "[none] heartbeat")] {
            fs::write(led.join(attribute), format!("{value}\n")).unwrap();
        }
        let settings = Settings { leds: dir.path().into(), ..Settings::default() };
        Self { led, drivers: drivers("raspberry-pi-4b", settings), _dir: dir }
    }
}

impl World for KernelLeds {
    fn board(&mut self) -> &mut dyn Board {
        &mut self.drivers
    }
}

impl LedWorld for KernelLeds {
    fn led(&self) -> &str {
        "ACT"
    }

    /// The kernel shows all triggers, the one that was written in brackets.
    fn settle(&mut self) {
        let shown = match fs::read_to_string(self.led.join("trigger")).unwrap().trim() {
            "none" => "[none] heartbeat\n",
            "heartbeat" => "none [heartbeat]\n",
            _ => return,
        };
        fs::write(self.led.join("trigger"), shown).unwrap();
    }
}
