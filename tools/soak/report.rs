//! The outcome: what was done, what was seen, and one line that says whether it is good.

use std::{fmt, path::Path, sync::Arc};

use super::{
    chronicle::Judgement,
    issuer::Issuer,
    processes::SERVER_ENDED,
    servers::PRIVATE_MEMBERS,
    tally::{Group, Tally},
};

/// All that a soak comes to.
pub(crate) struct Report {
    seed: u64,
    minutes: u64,
    issuers: Vec<Arc<Issuer>>,
    judgements: Vec<Judgement>,
    tally: Arc<Tally>,
    settled: bool,
    quiet_writes: u64,
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        minutes: u64,
        issuers: Vec<Arc<Issuer>>,
        tally: Arc<Tally>,
        settled: bool,
        quiet_writes: u64,
    ) -> Self {
        let judgements = issuers.iter().map(|issuer| issuer.chronicle.judge()).collect();
        Self { seed, minutes, issuers, judgements, tally, settled, quiet_writes }
    }

    /// Whether nothing was found, and enough was seen for that to mean something.
    pub(crate) fn is_good(&self) -> bool {
        self.complaints().is_empty()
    }

    fn complaints(&self) -> Vec<String> {
        let private = self.private_members();
        let ended = self.tally.of(Group::Kills, SERVER_ENDED);
        let late = self.tally.of(Group::Accidents, NOT_PUT_RIGHT);
        let expected = ROTATIONS_A_MINUTE * self.minutes;
        let all = [
            (self.findings() > 0).then(|| format!("{} failed verifications outside declared windows", self.findings())),
            (private > 0).then(|| format!("{private} private members served")),
            (!self.settled).then(|| "the fleet did not settle".to_owned()),
            (self.quiet_writes > 0).then(|| format!("{} writes in the quiet minute", self.quiet_writes)),
            (ended > 0).then(|| format!("{ended} {SERVER_ENDED}")),
            (self.rotations() < expected)
                .then(|| format!("{} rotations prove too little, {expected} are expected", self.rotations())),
            (late > 0).then(|| format!("{late} accidents were not put right in time")),
        ];
        all.into_iter().flatten().collect()
    }

    fn rotations(&self) -> u64 {
        self.issuers.iter().map(|issuer| issuer.chronicle.rotations()).sum()
    }

    fn findings(&self) -> usize {
        self.judgements.iter().map(|judgement| judgement.findings.len()).sum()
    }

    fn private_members(&self) -> u64 {
        self.tally.of(Group::Answers, PRIVATE_MEMBERS)
    }

    /// The failures that nothing excuses, with what happened to their set around the first one of each.
    fn tell_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (issuer, judgement) in self.issuers.iter().zip(&self.judgements) {
            let Some(first) = judgement.findings.first() else { continue };
            writeln!(f, "soak: {}: {} findings, the first at {:.3}:", issuer.name, judgement.findings.len(), first.at)?;
            for event in issuer.chronicle.story(first.at) {
                writeln!(f, "  {event}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let sum = |of: fn(&Judgement) -> u64| self.judgements.iter().map(of).sum::<u64>();
        self.tell_findings(f)?;
        let windows: usize = self.issuers.iter().map(|issuer| issuer.chronicle.windows()).sum();
        writeln!(f, "soak: seed {}, {} minutes, {} KeySets", self.seed, self.minutes, self.issuers.len())?;
        writeln!(
            f,
            "  rotations            {} by term; by reason, as seen: {}",
            self.rotations(),
            tally.line(Group::Rotations)
        )?;
        writeln!(f, "  tokens signed        {}", tally.line(Group::Tokens))?;
        writeln!(f, "  verified             {}", tally.line(Group::Verified))?;
        writeln!(
            f,
            "  not verified         {} of revoked keys, {} in declared windows",
            sum(|it| it.revoked),
            sum(|it| it.in_windows)
        )?;
        writeln!(f, "  not judged           {}", tally.line(Group::Unjudged))?;
        writeln!(f, "  windows declared     {windows}, the first key of each set included")?;
        writeln!(f, "  verbs                {}", tally.line(Group::Verbs))?;
        writeln!(f, "  accidents            {}", tally.line(Group::Accidents))?;
        writeln!(f, "  kills                {}", tally.line(Group::Kills))?;
        writeln!(f, "  answers by status    {}", tally.line(Group::Answers))?;
        writeln!(f, "  failures             {}", self.findings())?;
        writeln!(f, "  private members      {}", self.private_members())?;
        writeln!(f, "  quiet minute         {} writes", self.quiet_writes)?;
        match self.complaints().as_slice() {
            [] => writeln!(f, "soak: OK, seed {}", self.seed),
            complaints => writeln!(f, "soak: FAILED, seed {}: {}", self.seed, complaints.join("; ")),
        }
    }
}

/// Copies the logs of the processes out of the directory that ends with the cluster.
pub(crate) fn keep_logs(directory: &Path) {
    let kept = std::env::temp_dir().join(format!("keyset-soak-{}", std::process::id()));
    let copied = std::fs::create_dir_all(&kept).and_then(|()| {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let Some(name) = path.file_name().filter(|name| name.to_string_lossy().ends_with(".log")) else { continue };
            std::fs::copy(&path, kept.join(name))?;
        }
        Ok(())
    });
    match copied {
        Ok(()) => println!("soak: the logs are kept in {}", kept.display()),
        Err(error) => println!("soak: the logs cannot be kept: {error}"),
    }
}

/// The name under which accidents are counted that the operator did not put right in time.
pub(crate) const NOT_PUT_RIGHT: &str = "not put right in time";
/// A thousand in ten minutes.
const ROTATIONS_A_MINUTE: u64 = 100;
