//! From the lines of a scenario file to a [`Scenario`].

use super::event::{Event, Kind};
use super::words::Words;
use super::{
    Config, Draft, FileError, Host, LinkChange, Meaning, Name, OBSERVATIONS_MAX, ScenarioFile,
    chronyc, link,
};
use crate::link::Link;
use crate::network::Lookup;
use crate::scenario::Scenario;
use crate::world::Action;
use std::collections::BTreeMap;
use std::net::IpAddr;
use timewright_config::ParseFailure;
use timewright_core::engine::{Boot, Purpose};
use timewright_time::Seconds;

/// What a host without `config` is: a perfect server, if its clock is.
const SERVER: &str = "local stratum 1\nallow\n";
/// How long a scenario runs unless told, seconds.
const LENGTH_S: f64 = 86_400.0;
/// Every clock is observed so often until it has settled, at least, seconds.
const CLOSELY_S: f64 = 1.0;

/// The options of the daemon's command line that `options` takes.
pub(super) const OPTIONS: [&str; 5] = ["-r", "-x", "-q", "-4", "-6"];

fn apply_option(boot: &mut Boot, option: &str) {
    match option {
        "-x" => boot.control_clock = false,
        "-q" => boot.purpose = Purpose::SetOnce,
        "-4" => boot.ipv6 = false,
        "-6" => boot.ipv4 = false,
        // -r is not the engine's: the driver reads the dump files.
        _ => {}
    }
}

/// Puts everything together.
pub(super) fn scenario(path: &str, draft: Draft) -> Result<ScenarioFile, FileError> {
    let builder = Builder { path };
    let error = |line, what: String| builder.error(line, what);
    if draft.hosts.is_empty() {
        return Err(error(
            0,
            "there is no host: add lines `host NAME`".to_owned(),
        ));
    }
    let (length_line, length_s) = draft.length.unwrap_or((0, LENGTH_S));
    let (settle_line, settle_s) = draft.settle_s.unwrap_or((0, length_s / 10.0));
    if settle_s >= length_s {
        let what = format!("the figures begin after {settle_s} s, but the length is {length_s} s");
        return Err(error(settle_line, what));
    }
    let sample_s = draft.sample_s.unwrap_or(1.0).min(length_s);

    let mut scenario = Scenario::new()
        .families(draft.families)
        .sample_every(sample_s)
        .collect_violations();
    if sample_s > CLOSELY_S {
        scenario = scenario.sample_until(settle_s, CLOSELY_S);
    }
    if let Some(start_s) = draft.start_s {
        scenario = scenario.start(start_s);
    }
    for host in &draft.hosts {
        scenario = add_host(scenario, host);
    }
    scenario = builder.add_links(scenario, &draft)?;
    scenario = builder.add_queues(scenario, &draft)?;
    for name in &draft.names {
        scenario = builder.add_name(scenario, &draft, name)?;
    }
    for event in &draft.events {
        scenario = builder.add_event(scenario, &draft, event)?;
    }
    for &(_, at_s, leap) in &draft.leaps {
        scenario = scenario.at(at_s, move |_| Action::Leap(leap));
    }

    let (mut notes, mut clients) = (Vec::new(), Vec::new());
    for host in &draft.hosts {
        let config = scenario
            .config(&host.name)
            .map_err(|failure| builder.config_error(host, &failure))?;
        let sources = || config.sources.iter();
        for clock in &config.refclocks {
            let device = format!("{} {}", clock.driver, clock.parameter.display());
            if !host.devices.iter().any(|(name, _)| *name == device) {
                let what = format!("host {} has no `device {device}`", host.name);
                return Err(error(host.line, what));
            }
        }
        for source in sources() {
            builder.check_source(&scenario, &draft, host, &source.name)?;
        }
        if sources().any(|source| source.options.nts || source.options.key.is_some()) {
            notes.push(format!(
                "host {}: sources with `nts` or `key` are not polled in the simulation",
                host.name
            ));
        }
        if sources().next().is_some() || !config.refclocks.is_empty() {
            clients.push(host.name.clone());
        }
    }
    for (line, name) in &draft.shown {
        builder.index(&draft, *line, name)?;
    }
    let mut shown: Vec<String> = draft.shown.into_iter().map(|(_, name)| name).collect();
    if shown.is_empty() {
        shown = clients;
    }
    if shown.is_empty() {
        shown = draft.hosts.into_iter().map(|host| host.name).collect();
    }
    let names: Vec<&str> = shown.iter().map(String::as_str).collect();
    scenario = scenario.observe_only(&names);
    builder.check_size(length_line, length_s, settle_s, sample_s, shown.len())?;
    Ok(ScenarioFile {
        title: draft.title.unwrap_or_default(),
        length_s,
        settle_s,
        shown,
        notes,
        scenario,
    })
}

fn add_host(scenario: Scenario, host: &Host) -> Scenario {
    let name = host.name.as_str();
    let text = host.config.as_ref().map_or(SERVER, |c| c.text.as_str());
    let mut scenario = scenario
        .node(name, text)
        .clock(name, host.clock)
        .stamps(name, host.stamps)
        .starts_at(name, host.start_s)
        .boot(name, |boot| {
            for option in &host.options {
                apply_option(boot, option);
            }
        });
    if let Some(Config { path, .. }) = &host.config {
        scenario = scenario.config_path(name, path);
    }
    for &address in &host.addresses {
        scenario = scenario.address(name, address);
    }
    for (path, content) in &host.files {
        scenario = scenario.file(name, path, content);
    }
    for (device, model) in &host.devices {
        scenario = scenario.device(name, device, *model);
    }
    if let Some(drift) = &host.drift_file {
        scenario = scenario.drift_file(name, drift);
    }
    if host.options.iter().any(|option| option == "-r") {
        scenario = scenario.load_dumps(name);
    }
    scenario
}

struct Builder<'a> {
    path: &'a str,
}

impl Builder<'_> {
    fn error(&self, line: usize, what: String) -> FileError {
        FileError {
            file: self.path.to_owned(),
            line,
            what,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "there are few hosts")]
    fn check_size(
        &self,
        line: usize,
        length_s: f64,
        settle_s: f64,
        sample_s: f64,
        hosts: usize,
    ) -> Result<(), FileError> {
        let closely = settle_s / sample_s.min(CLOSELY_S);
        let count = (closely + (length_s - settle_s) / sample_s) * hosts as f64;
        if count <= OBSERVATIONS_MAX {
            return Ok(());
        }
        let what = format!(
            "observing {hosts} clocks that often makes {count:.0} observations, more than \
             {OBSERVATIONS_MAX:.0}; choose a shorter `length`, an earlier `settle` or a longer \
             `sample`"
        );
        Err(self.error(line, what))
    }

    /// The error of a `chrony.conf`, with the line it is in.
    fn config_error(&self, host: &Host, failure: &ParseFailure) -> FileError {
        let text = failure.to_string();
        let place = text.rsplit_once(" at line ").and_then(|(what, place)| {
            let (line, file) = place.split_once(" in file ")?;
            Some((what, line.parse().ok()?, file))
        });
        match place {
            Some((what, line, file)) => FileError {
                file: file.to_owned(),
                line,
                what: format!("{what} (chrony.conf of host {})", host.name),
            },
            None => {
                let what = format!(
                    "chrony.conf of host {}: {text}; files it includes are given by \
                     `file PATH FILE`",
                    host.name
                );
                self.error(host.line, what)
            }
        }
    }

    /// A source that nobody answers for is a mistake nobody would find in the table.
    fn check_source(
        &self,
        scenario: &Scenario,
        draft: &Draft,
        host: &Host,
        source: &str,
    ) -> Result<(), FileError> {
        let known = match source.parse::<IpAddr>() {
            Ok(address) => draft
                .hosts
                .iter()
                .any(|host| scenario.addresses_of(&host.name).contains(&address)),
            Err(_) => {
                draft.hosts.iter().any(|host| host.name == source)
                    || draft.names.iter().any(|name| name.name == source)
            }
        };
        if known {
            return Ok(());
        }
        let hint = if source.parse::<IpAddr>().is_ok() {
            format!("give a host this address: `host NAME {source}`")
        } else {
            format!(
                "say which hosts stand for it: `name {source} HOST...`, or `name {source} nothing`"
            )
        };
        let what = format!(
            "host {} has the source {source}, which is not here; {hint}",
            host.name
        );
        Err(self.error(host.line, what))
    }

    fn index(&self, draft: &Draft, line: usize, name: &str) -> Result<usize, FileError> {
        draft
            .hosts
            .iter()
            .position(|host| host.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = draft.hosts.iter().map(|h| h.name.as_str()).collect();
                let what = format!("there is no host `{name}`; there are {}", names.join(", "));
                self.error(line, what)
            })
    }

    /// One host, or all.
    fn indices(&self, draft: &Draft, line: usize, name: &str) -> Result<Vec<usize>, FileError> {
        if name == "*" {
            return Ok((0..draft.hosts.len()).collect());
        }
        Ok(vec![self.index(draft, line, name)?])
    }

    /// Follows every path through the changes in their order: what a line does not name stays.
    fn add_links(&self, mut scenario: Scenario, draft: &Draft) -> Result<Scenario, FileError> {
        let mut changes: Vec<&LinkChange> = draft.links.iter().collect();
        // Those at the beginning come first; lines of one moment keep their order.
        changes.sort_by(|a, b| {
            let at = |change: &LinkChange| change.at_s.unwrap_or(f64::NEG_INFINITY);
            at(a).total_cmp(&at(b))
        });
        let mut paths: BTreeMap<(usize, usize), Link> = BTreeMap::new();
        let name = |index: usize| draft.hosts.get(index).map_or("", |h| h.name.as_str());
        for change in changes {
            let from = self.indices(draft, change.line, &change.from)?;
            let to = self.indices(draft, change.line, &change.to)?;
            let mut seen = std::collections::BTreeSet::new();
            for &a in &from {
                for &b in to.iter().filter(|&&b| b != a) {
                    let mut set = |a: usize, b: usize, back: bool| {
                        if !seen.insert((a, b)) {
                            return Ok(None);
                        }
                        let path = paths.entry((a, b)).or_default();
                        *path = self.changed(change, *path, back)?;
                        Ok(Some((a, b, *path)))
                    };
                    let there = set(a, b, false)?;
                    let back = if change.both { set(b, a, true)? } else { None };
                    for (a, b, link) in there.into_iter().chain(back) {
                        let (a, b) = (name(a).to_owned(), name(b).to_owned());
                        scenario = match change.at_s {
                            None => scenario.link(&a, &b, link),
                            Some(at_s) => {
                                scenario.at(at_s, move |id| Action::SetLink(id(&a), id(&b), link))
                            }
                        };
                    }
                }
            }
        }
        Ok(scenario)
    }

    fn changed(&self, change: &LinkChange, link: Link, back: bool) -> Result<Link, FileError> {
        let path = link::apply(link, &mut Words::new(&change.words))
            .map_err(|what| self.error(change.line, what))?;
        let side = |(to, from): (Link, Link)| if back { from } else { to };
        let mut link = path.link;
        if let Some(share) = path.asymmetry {
            link = side(link.asymmetric(share));
        }
        if let Some(skew_s) = path.skew_s {
            link = side(link.skewed(skew_s));
            if link.delay_s < 0.0 {
                let what = format!("skew: the way back would take {} s", link.delay_s);
                return Err(self.error(change.line, what));
            }
        }
        Ok(link)
    }

    /// Queues that several directions of paths go through.
    fn add_queues(&self, mut scenario: Scenario, draft: &Draft) -> Result<Scenario, FileError> {
        for queue in &draft.queues {
            let from = self.indices(draft, queue.line, &queue.from)?;
            let to = self.indices(draft, queue.line, &queue.to)?;
            let name = |index: &usize| draft.hosts.get(*index).map_or("", |h| h.name.as_str());
            let pairs = from.iter().flat_map(|a| to.iter().map(move |b| (a, b)));
            let paths: Vec<(&str, &str)> = pairs
                .filter(|(a, b)| a != b)
                .map(|(a, b)| (name(a), name(b)))
                .collect();
            scenario = scenario.shared_queue(queue.queue, &paths);
        }
        Ok(scenario)
    }

    fn add_name(
        &self,
        scenario: Scenario,
        draft: &Draft,
        name: &Name,
    ) -> Result<Scenario, FileError> {
        let lookup = match &name.meaning {
            Meaning::Nothing => Lookup::PermanentFailure,
            Meaning::NoAnswer => Lookup::TemporaryFailure,
            Meaning::Hosts(hosts) => {
                let mut addresses = Vec::new();
                for host in hosts {
                    self.index(draft, name.line, host)?;
                    addresses.extend(scenario.addresses_of(host));
                }
                Lookup::Addresses(addresses)
            }
        };
        let text = name.name.clone();
        Ok(match name.at_s {
            None => scenario.lookup(&text, lookup),
            Some(at_s) => scenario.at(at_s, move |_| Action::SetName(text.clone(), lookup.clone())),
        })
    }

    fn add_event(
        &self,
        scenario: Scenario,
        draft: &Draft,
        event: &Event,
    ) -> Result<Scenario, FileError> {
        self.index(draft, event.line, &event.host)?;
        let host = event.host.clone();
        let at_s = event.at_s;
        Ok(match &event.kind {
            &Kind::Step(by) => {
                scenario.at(at_s, move |id| Action::StepClock(id(&host), Seconds(by)))
            }
            &Kind::Frequency(by) => scenario.frequency_step_at(at_s, &host, by * 1e6),
            Kind::Unplug => scenario.at(at_s, move |id| Action::SetRouted(id(&host), false)),
            Kind::Plug => scenario.at(at_s, move |id| Action::SetRouted(id(&host), true)),
            Kind::Stop => scenario.at(at_s, move |id| Action::Shutdown(id(&host))),
            Kind::Kill => scenario.at(at_s, move |id| Action::Kill(id(&host))),
            Kind::Start => scenario.at(at_s, move |id| Action::Start(id(&host))),
            &Kind::Restart(pause_s) => scenario.restart_at(at_s, pause_s, &host),
            &Kind::Pause(time_s) => {
                scenario.at(at_s, move |id| Action::Pause(id(&host), Seconds(time_s)))
            }
            &Kind::Suspend(time_s, error_s) => scenario.at(at_s, move |id| {
                Action::SuspendInexactly(id(&host), Seconds(time_s), Seconds(error_s))
            }),
            &Kind::Freeze(time_s) => {
                scenario.at(at_s, move |id| Action::Freeze(id(&host), Seconds(time_s)))
            }
            Kind::Command(text) => {
                let resolve = |name: &str| {
                    let own = scenario.addresses_of(name).first().copied();
                    own.or_else(|| name.parse().ok())
                };
                let request =
                    chronyc::parse(text, &resolve).map_err(|what| self.error(event.line, what))?;
                scenario.command_at(at_s, &host, request)
            }
        })
    }
}
