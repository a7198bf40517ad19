//! The pictures of `kubectl keyset timeline` in a real browser, light and dark: nothing is blank, no text lies on another,
//! and the console stays silent.
//!
//! The pictures are those that the tests of `src/plugin/timeline` hold. The browser is Chromium (`make browser-packages`,
//! or CHROMIUM names one); without any, the test says that it is left out, but not in CI.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[derive(Clone, Copy, Debug)]
enum Scheme {
    Light,
    Dark,
}

#[test]
fn pictures_are_shown_in_light_and_dark() {
    let Some(browser) = Browser::find() else { return };
    for scheme in [Scheme::Light, Scheme::Dark] {
        for file in [PathBuf::from("docs/timeline.svg"), snapshot("seconds.snap.html")] {
            let colours = browser.colours(&file, scheme);
            // Paper around the bars of the keys that signed, in the colours of the scheme.
            let (paper, signs) = match scheme {
                Scheme::Light => ([0xff, 0xff, 0xff], [0x1a, 0x7f, 0x5a]),
                Scheme::Dark => ([0x0d, 0x11, 0x17], [0x2f, 0x9e, 0x74]),
            };
            let of = |colour: [u8; 3]| colours.get(&colour).copied().unwrap_or_default();
            let file = file.display();
            assert!(of(paper) > 100_000, "{file}, {scheme:?}: {} of paper", of(paper));
            assert!(of(signs) > 4_000, "{file}, {scheme:?}: {} of bars", of(signs));
            assert!(
                colours.len() > 50,
                "{file}, {scheme:?}: letters have edges, but there are {} colours",
                colours.len()
            );
        }
    }
}

#[test]
fn no_text_lies_on_another_or_outside() {
    let Some(browser) = Browser::find() else { return };
    let files = [
        PathBuf::from("docs/timeline.svg"),
        snapshot("days.snap.svg"),
        snapshot("months.snap.svg"),
        snapshot("crowd.snap.svg"),
    ];
    let pictures: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    // What must be found: a text on another one, and one that leaves its picture.
    let seeded = "<svg width=\"90\" height=\"40\"><text x=\"9\" y=\"20\">one</text><text x=\"12\" y=\"22\">two</text>\
        <text x=\"80\" y=\"20\">three</text></svg>";
    // As it is here, and in the widest font that is usual.
    for style in ["", "<style>svg text { font-family: 'DejaVu Sans'; }</style>"] {
        let body = format!("{}{seeded}{style}<pre id=\"found\"></pre>{MEASURE}", pictures.concat());
        let document = browser.run(&Browser::page("texts.html", &body), Scheme::Light, &["--dump-dom"]);
        let found = document.split("<pre id=\"found\">").nth(1).unwrap().split("</pre>").next().unwrap();
        let faults: Vec<&str> = found.lines().collect();
        let index = files.len();
        assert_eq!(faults, [format!("{index}: one on two"), format!("{index}: three outside")], "{style}");
    }
}

/// Chromium without a window.
struct Browser {
    program: PathBuf,
}

impl Browser {
    fn find() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let given = env::var_os("CHROMIUM").map(PathBuf::from);
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let installed = || {
            env::split_paths(&path).flat_map(|directory| names.map(|name| directory.join(name))).find(|it| it.is_file())
        };
        let program = given.or_else(installed);
        if program.is_none() {
            assert!(
                env::var("CI").as_deref() != Ok("true"),
                "Chromium is missing, and CI=true: `make browser-packages`"
            );
            println!("left out: there is no Chromium here");
        }
        program.map(|program| Self { program })
    }

    /// How many dots of each colour it shows.
    fn colours(&self, file: &Path, scheme: Scheme) -> BTreeMap<[u8; 3], usize> {
        let shot = directory().join(format!("{}.{scheme:?}.png", file.file_name().unwrap().to_str().unwrap()));
        self.run(
            file,
            scheme,
            &[&format!("--screenshot={}", shot.display()), "--window-size=1000,900", "--hide-scrollbars"],
        );
        let mut reader =
            png::Decoder::new(std::io::BufReader::new(fs::File::open(&shot).unwrap())).read_info().unwrap();
        let mut dots = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut dots).unwrap();
        assert_eq!(frame.bit_depth, png::BitDepth::Eight);
        let mut colours = BTreeMap::new();
        for dot in dots[..frame.buffer_size()].chunks(frame.color_type.samples()) {
            *colours.entry([dot[0], dot[1], dot[2]]).or_default() += 1;
        }
        colours
    }

    fn page(name: &str, body: &str) -> PathBuf {
        let path = directory().join(name);
        fs::write(&path, format!("<!doctype html><meta charset=\"utf-8\"><body>{body}</body>")).unwrap();
        path
    }

    /// Opens a file; gives what it says on standard output. A word on the console fails.
    fn run(&self, file: &Path, scheme: Scheme, arguments: &[&str]) -> String {
        let name = file.file_name().unwrap().to_str().unwrap();
        let profile = directory().join(format!("profile-{name}-{scheme:?}"));
        let _ = fs::remove_dir_all(&profile);
        let mut command = Command::new(&self.program);
        command.args(FLAGS).args(arguments).arg(format!("--user-data-dir={}", profile.display()));
        if matches!(scheme, Scheme::Dark) {
            command.arg("--force-dark-mode");
        }
        let output =
            command.arg(format!("file://{}", fs::canonicalize(file).unwrap().display())).stdin(Stdio::null()).output();
        let _ = fs::remove_dir_all(&profile);
        let output = output.unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {told}");
        let console: Vec<&str> = told.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "{name}: {console:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn snapshot(name: &str) -> PathBuf {
    let name = format!("keyset_operator__plugin__timeline__tests__looks__{name}");
    Path::new("src/plugin/timeline/tests/snapshots").join(name)
}

fn directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// As root there is no sandbox; what it opens is our own. It asks nobody for anything.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--enable-logging=stderr",
];
/// Writes down each pair of texts that overlap, and each text that leaves its picture.
const MEASURE: &str = "<script>
const faults = [];
[...document.querySelectorAll('svg')].forEach((svg, index) => {
  const canvas = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
  texts.forEach(([text, area], at) => {
    for (const [other, there] of texts.slice(0, at)) {
      const x = Math.min(area.right, there.right) - Math.max(area.left, there.left);
      const y = Math.min(area.bottom, there.bottom) - Math.max(area.top, there.top);
      if (x > 0.5 && y > 1.5) faults.push(`${index}: ${other} on ${text}`);
    }
    const inside = area.left >= canvas.left && area.right <= canvas.right && area.top >= canvas.top && area.bottom <= canvas.bottom;
    if (!inside) faults.push(`${index}: ${text} outside`);
  });
});
document.getElementById('found').textContent = faults.join('\\n');
</script>";
