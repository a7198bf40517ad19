//! Python and Node with the libraries under test, installed once into the user's cache by pinned versions, and Go, which
//! keeps its own cache.
//!
//! A machine without an interpreter skips that part and says so; under `CI=true` that is a failure.
#![allow(dead_code, reason = "each test uses a part of this library")]

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use keyset_operator::jose::Digest;

/// An interpreter and its libraries.
pub(crate) struct Interpreter {
    /// `None` where a script has been compiled.
    program: Option<PathBuf>,
    /// Where the scripts are, beside their libraries.
    directory: PathBuf,
    /// A CA that scripts trust: Node beside others, Go alone.
    authority: Option<PathBuf>,
}

impl Interpreter {
    /// Python with PyJWT and joserfc, running scripts in `directory`; `None` without Python.
    pub(crate) fn python(directory: &Path) -> Option<Self> {
        let pins = include_str!("requirements.txt");
        let commands: Commands<'_> = &[&["python3", "-c", "import venv, ensurepip"]];
        let installed = installed("python", pins, commands, |home| {
            run(Command::new("python3").args(["-m", "venv"]).arg(home))?;
            fs::write(home.join("requirements.txt"), pins).ok()?;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"];
            run(Command::new(home.join("bin/python")).args(pip).current_dir(home))
        })?;
        let directory = scripts(directory.join("python"), PYTHON);
        Some(Self { program: Some(installed.join("bin/python")), directory, authority: None })
    }

    /// Node with jose, jsonwebtoken, jwks-rsa and openid-client, running scripts in `directory`; `None` without Node and npm.
    pub(crate) fn node(directory: &Path) -> Option<Self> {
        let [package, lock] = [include_str!("package.json"), include_str!("package-lock.json")];
        let commands: Commands<'_> = &[&["node", "--version"], &["npm", "--version"]];
        let installed = installed("node", lock, commands, |home| {
            fs::create_dir_all(home).ok()?;
            fs::write(home.join("package.json"), package).ok()?;
            fs::write(home.join("package-lock.json"), lock).ok()?;
            let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
            run(Command::new("npm").args(npm).current_dir(home))
        })?;
        let directory = scripts(directory.join("node"), NODE);
        std::os::unix::fs::symlink(installed.join("node_modules"), directory.join("node_modules")).unwrap();
        Some(Self { program: Some("node".into()), directory, authority: None })
    }

    /// What Go makes of its scripts, with go-jose, in `directory`; `None` without Go.
    pub(crate) fn go(directory: &Path) -> Option<Self> {
        if !is_there("go", &[&["go", "version"]]) {
            return None;
        }
        let directory = scripts(directory.join("go"), &["signer.go", "sign.go", "go.mod", "go.sum"]);
        let build = ["build", "-buildvcs=false", "-o", "sign", "."];
        run(Command::new("go").args(build).env("CGO_ENABLED", "0").current_dir(&directory)).unwrap();
        Some(Self { program: None, directory, authority: None })
    }

    /// What Go makes of a relying party with go-oidc, as `oidc` in `directory`; `None` without Go.
    pub(crate) fn go_oidc(directory: &Path) -> Option<Self> {
        if !is_there("go", &[&["go", "version"]]) {
            return None;
        }
        let (source, directory) =
            (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/oidc"), directory.join("go"));
        let mut go = Command::new("go");
        go.args(["build", "-buildvcs=false", "-o"]).arg(directory.join("oidc")).arg(".");
        run(go.env("CGO_ENABLED", "0").current_dir(source)).unwrap();
        Some(Self { program: None, directory, authority: None })
    }

    /// The same, with trust in what this CA signs.
    pub(crate) fn trusting(self, authority: &Path) -> Self {
        Self { authority: Some(authority.to_owned()), ..self }
    }

    /// Starts a script; `mounted` is where it looks for its Signer Secret.
    pub(crate) fn start(&self, script: &str, mounted: &Path) -> Script {
        let script = self.directory.join(script);
        let mut command = Command::new(self.program.as_ref().unwrap_or(&script));
        if self.program.is_some() {
            command.arg(&script);
        }
        command.env("KEYSET_DIR", mounted).env("PYTHONDONTWRITEBYTECODE", "1");
        // joserfc warns of the name EdDSA, which is the one that most verifiers know.
        command.env("PYTHONWARNINGS", "ignore");
        for name in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
            command.envs(self.authority.iter().map(|authority| (name, authority)));
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Script { name: script, child, input, output }
    }
}

/// A running script.
pub(crate) struct Script {
    name: PathBuf,
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
        assert!(!answer.is_empty(), "{} has ended, see above", self.name.display());
        answer.trim_end().to_owned()
    }

    /// Ends its input; gives the lines that it still says. It must end well.
    pub(crate) fn finish(mut self) -> Vec<String> {
        drop(self.input.take());
        let lines = self.output.lines().collect::<Result<_, _>>().unwrap();
        assert!(self.child.wait().unwrap().success(), "{} failed, see above", self.name.display());
        lines
    }
}

/// The installation for these pins; made if it is not there. `None` if there is nothing to make it with.
fn installed(name: &str, pins: &str, commands: Commands<'_>, install: impl Fn(&Path) -> Option<()>) -> Option<PathBuf> {
    if !is_there(name, commands) {
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

/// What is run in Python.
const PYTHON: &[&str] = &["signer.py", "sign.py", "verify.py", "assertion.py", "assertion_for.py"];

/// What is run in Node.
const NODE: &[&str] = &["discover.mjs", "signer.mjs", "sign.mjs", "verdicts.mjs", "verify.mjs"];

/// Command lines that work where a language is installed.
type Commands<'a> = &'a [&'a [&'a str]];

/// Whether a language is installed. Where it is not, that is said, and in CI it is a failure.
fn is_there(name: &str, commands: Commands<'_>) -> bool {
    let works = |line: &&[&str]| {
        let output = Command::new(line[0]).args(&line[1..]).stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success())
    };
    let is_there = commands.iter().all(works);
    if !is_there {
        assert!(env::var("CI").as_deref() != Ok("true"), "{name} is missing, and CI=true: install it");
        // Not by `eprintln`: the output of a test that passes is not shown.
        let _ = writeln!(io::stderr(), "skipped: {name} is not there, so its JWT libraries were not tried");
    }
    is_there
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

fn run(command: &mut Command) -> Option<()> {
    command.stdin(Stdio::null()).status().ok()?.success().then_some(())
}
