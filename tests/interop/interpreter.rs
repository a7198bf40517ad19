//! Python and Node with the libraries under test, installed once into the user's cache by pinned versions.
//!
//! A machine without an interpreter skips that part and says so; under `CI=true` that is a failure.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use keyset_operator::jose::Digest;

/// An interpreter and its libraries.
pub(crate) struct Interpreter {
    program: PathBuf,
    /// Where the scripts are, beside their libraries.
    directory: PathBuf,
}

impl Interpreter {
    /// Python with PyJWT and joserfc, running scripts in `directory`; `None` without Python.
    pub(crate) fn python(directory: &Path) -> Option<Self> {
        let pins = include_str!("requirements.txt");
        let available = works("python3", &["-c", "import venv, ensurepip"]);
        let installed = installed("python", pins, available, |home| {
            run(Command::new("python3").args(["-m", "venv"]).arg(home))?;
            fs::write(home.join("requirements.txt"), pins).ok()?;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"];
            run(Command::new(home.join("bin/python")).args(pip).current_dir(home))
        })?;
        let directory = scripts(directory.join("python"), &["signer.py", "sign.py", "verify.py", "files.py"]);
        Some(Self { program: installed.join("bin/python"), directory })
    }

    /// Node with jose, jsonwebtoken and jwks-rsa, running scripts in `directory`; `None` without Node and npm.
    pub(crate) fn node(directory: &Path) -> Option<Self> {
        let [package, lock] = [include_str!("package.json"), include_str!("package-lock.json")];
        let available = works("node", &["--version"]) && works("npm", &["--version"]);
        let installed = installed("node", lock, available, |home| {
            fs::create_dir_all(home).ok()?;
            fs::write(home.join("package.json"), package).ok()?;
            fs::write(home.join("package-lock.json"), lock).ok()?;
            let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
            run(Command::new("npm").args(npm).current_dir(home))
        })?;
        let directory = scripts(directory.join("node"), &["signer.mjs", "sign.mjs", "verify.mjs", "files.mjs"]);
        std::os::unix::fs::symlink(installed.join("node_modules"), directory.join("node_modules")).unwrap();
        Some(Self { program: "node".into(), directory })
    }

    /// Starts a script; `mounted` is where it looks for its Signer Secret.
    pub(crate) fn start(&self, script: &str, mounted: &Path) -> Script {
        let mut command = Command::new(&self.program);
        command.arg(self.directory.join(script)).env("KEYSET_DIR", mounted).env("PYTHONDONTWRITEBYTECODE", "1");
        // joserfc warns of the name EdDSA, which is the one that most verifiers know.
        command.env("PYTHONWARNINGS", "ignore");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Script { name: script.to_owned(), child, input, output }
    }
}

/// A running script.
pub(crate) struct Script {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Script {
    /// Gives it a line.
    pub(crate) fn give(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Gives it a line, and takes the line that it answers.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.give(line);
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "{} has ended, see above", self.name);
        answer.trim_end().to_owned()
    }

    /// Ends its input; gives the lines that it still says. It must end well.
    pub(crate) fn finish(mut self) -> Vec<String> {
        drop(self.input.take());
        let lines = self.output.lines().collect::<Result<_, _>>().unwrap();
        assert!(self.child.wait().unwrap().success(), "{} failed, see above", self.name);
        lines
    }
}

/// The installation for these pins; made if it is not there. `None` if there is nothing to make it with.
fn installed(name: &str, pins: &str, available: bool, install: impl Fn(&Path) -> Option<()>) -> Option<PathBuf> {
    if !available {
        assert!(env::var("CI").as_deref() != Ok("true"), "{name} is missing, and CI=true: install it");
        // Not by `eprintln`: the output of a test that passes is not shown.
        let _ = writeln!(io::stderr(), "skipped: {name} is not there, so its JWT libraries were not tried");
        return None;
    }
    let digest = Digest::of(pins);
    let version = &digest.as_str()["sha256:".len()..][..16];
    let caches = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let caches = caches.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap()).join(".cache"));
    let home = caches.join("keyset/interop").join(format!("{name}-{version}"));
    if !home.is_dir() {
        // Made aside and moved, so that half an installation is never taken for one, nor two at a time mixed.
        let draft = home.with_extension(std::process::id().to_string());
        install(&draft).unwrap_or_else(|| panic!("the libraries of {name} cannot be installed, see above"));
        if fs::rename(&draft, &home).is_err() {
            fs::remove_dir_all(&draft).unwrap();
        }
    }
    Some(home)
}

/// Copies scripts from `examples/` and `tests/interop/` into one directory, so that they find each other.
fn scripts(directory: PathBuf, names: &[&str]) -> PathBuf {
    fs::create_dir_all(&directory).unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in names {
        let source = [package.join("examples"), package.join("tests/interop")].map(|parent| parent.join(name));
        let source = source.iter().find(|path| path.is_file()).unwrap();
        fs::copy(source, directory.join(name)).unwrap();
    }
    directory
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Option<()> {
    command.stdin(Stdio::null()).status().ok()?.success().then_some(())
}
