//! Scenarios: hosts with a configuration text each, paths, and what happens to them.

use crate::clock::to_ns;
use crate::device::DeviceModel;
use crate::link::Link;
use crate::network::Lookup;
use crate::node::{NodeSetup, Stamps};
use crate::oscillator::ClockModel;
use crate::queue::SharedQueue;
use crate::report::Report;
use crate::world::{Action, NodeId, START_NS, World};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use timewright_config::{
    Config, DriverKind, FileSource as _, MemoryFiles, ParseFailure, ParseOptions, TempCurve,
};
use timewright_control::Request;
use timewright_core::engine::Boot;
use timewright_time::Seconds;

/// The clock quantum of every simulated host, seconds: 2^-23, as upstream's simulator has it.
const CLOCK_QUANTUM_S: f64 = 1.0 / 8_388_608.0;

/// Where a host's `chrony.conf` is unless told otherwise.
const CONFIG_PATH: &str = "/sim/chrony.conf";
/// Where the system has its time zones.
const ZONES: &str = "/usr/share/zoneinfo";

/// Which addresses hosts have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// 10.0.0.1 and up.
    #[default]
    V4,
    /// fd00::1 and up.
    V6,
    /// Both, IPv6 first.
    Both,
}

struct Host {
    name: String,
    addresses: Vec<IpAddr>,
    config: String,
    config_path: String,
    files: MemoryFiles,
    clock: ClockModel,
    stamps: Stamps,
    has_boot_time: bool,
    boot: Boot,
    load_dumps: bool,
    drift_file: Option<String>,
    devices: BTreeMap<String, DeviceModel>,
    start_s: f64,
}

/// A world to be built and run, possibly many times with different seeds.
#[derive(Default)]
pub struct Scenario {
    hosts: Vec<Host>,
    families: Families,
    default_link: Link,
    links: Vec<(String, String, Link)>,
    queues: Vec<(SharedQueue, Vec<(String, String)>)>,
    names: Vec<(String, NameOf)>,
    actions: Vec<(f64, PendingAction)>,
    start_s: Option<i64>,
    sample_s: Option<f64>,
    observed: Option<Vec<String>>,
    forget_packets: bool,
    unchecked: bool,
    closely: Option<(f64, f64)>,
    collects: bool,
}

enum NameOf {
    Hosts(Vec<String>),
    Lookup(Lookup),
}

type PendingAction = Box<dyn Fn(&dyn Fn(&str) -> NodeId) -> Action>;

impl Scenario {
    /// Nothing yet; every path is [`Link::default`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a host with its `chrony.conf`. Hosts find each other by name; the n-th has the
    /// address 10.0.0.n, fd00::n or both, see [`Self::families`].
    #[must_use]
    pub fn node(mut self, name: &str, config: &str) -> Self {
        self.hosts.push(Host {
            name: name.to_owned(),
            addresses: Vec::new(),
            config: config.to_owned(),
            config_path: CONFIG_PATH.to_owned(),
            files: MemoryFiles::new(),
            clock: ClockModel::default(),
            stamps: Stamps::default(),
            has_boot_time: true,
            boot: Boot {
                clock_quantum: Some(Seconds(CLOCK_QUANTUM_S)),
                drivers: DriverKind::ALL.to_vec(),
                ..Boot::default()
            },
            load_dumps: false,
            drift_file: None,
            devices: BTreeMap::new(),
            start_s: 0.0,
        });
        self
    }

    /// Adds to a host's `chrony.conf`.
    #[must_use]
    pub fn configure(mut self, name: &str, more: &str) -> Self {
        self.host_mut(name).config.push_str(more);
        self
    }

    /// Gives a host an address of its own choice; with the first, it loses those it had.
    #[must_use]
    pub fn address(mut self, name: &str, address: IpAddr) -> Self {
        self.host_mut(name).addresses.push(address);
        self
    }

    /// Tells which path a host's `chrony.conf` has, for error messages.
    #[must_use]
    pub fn config_path(mut self, name: &str, path: &str) -> Self {
        path.clone_into(&mut self.host_mut(name).config_path);
        self
    }

    /// Puts a file on a host's disk that its `chrony.conf` refers to: with `include`, `confdir`,
    /// `sourcedir`, `leapseclist`, `leapsectz` or `tempcomp`.
    #[must_use]
    pub fn file(mut self, name: &str, path: &str, content: &[u8]) -> Self {
        self.host_mut(name).files.insert(path, content);
        self
    }

    /// Sets a host's clock.
    #[must_use]
    pub fn clock(mut self, name: &str, model: ClockModel) -> Self {
        self.host_mut(name).clock = model;
        self
    }

    /// Sets who stamps a host's packets.
    #[must_use]
    pub fn stamps(mut self, name: &str, stamps: Stamps) -> Self {
        self.host_mut(name).stamps = stamps;
        self
    }

    /// Takes the clock that counts suspends away from a host.
    #[must_use]
    pub fn without_boot_time(mut self, name: &str) -> Self {
        self.host_mut(name).has_boot_time = false;
        self
    }

    /// Changes what a host's daemon is told at its start besides the configuration: options of
    /// the command line and contents of files.
    #[must_use]
    pub fn boot(mut self, name: &str, change: impl FnOnce(&mut Boot)) -> Self {
        change(&mut self.host_mut(name).boot);
        self
    }

    /// Lets a host load its dump files at every start (`-r`).
    #[must_use]
    pub fn load_dumps(mut self, name: &str) -> Self {
        self.host_mut(name).load_dumps = true;
        self
    }

    /// Gives a host a drift file to start from.
    #[must_use]
    pub fn drift_file(mut self, name: &str, content: &str) -> Self {
        self.host_mut(name).drift_file = Some(content.to_owned());
        self
    }

    /// Attaches a reference clock to a host. Its name is driver and parameter as in the `refclock`
    /// directive; a line of the configuration has to ask for it.
    #[must_use]
    pub fn device(mut self, name: &str, device: &str, model: DeviceModel) -> Self {
        let devices = &mut self.host_mut(name).devices;
        devices.insert(device.to_owned(), model);
        self
    }

    /// Starts a host's daemon later than the simulation.
    #[must_use]
    pub fn starts_at(mut self, name: &str, at_s: f64) -> Self {
        self.host_mut(name).start_s = at_s;
        self
    }

    /// Sets which addresses all hosts have.
    #[must_use]
    pub const fn families(mut self, families: Families) -> Self {
        self.families = families;
        self
    }

    /// Sets every path that is not set otherwise.
    #[must_use]
    pub const fn link_all(mut self, link: Link) -> Self {
        self.default_link = link;
        self
    }

    /// Sets one direction of the path between two hosts.
    #[must_use]
    pub fn link(mut self, from: &str, to: &str, link: Link) -> Self {
        self.links.push((from.to_owned(), to.to_owned(), link));
        self
    }

    /// Sends these directions (from, to) of paths through one queue besides their own delays.
    #[must_use]
    pub fn shared_queue(mut self, queue: SharedQueue, paths: &[(&str, &str)]) -> Self {
        let owned = |&(a, b): &(&str, &str)| (a.to_owned(), b.to_owned());
        self.queues.push((queue, paths.iter().map(owned).collect()));
        self
    }

    /// Makes `name` resolve to all of `hosts`, as a pool does.
    #[must_use]
    pub fn name(mut self, name: &str, hosts: &[&str]) -> Self {
        let hosts = hosts.iter().map(|&h| h.to_owned()).collect();
        self.names.push((name.to_owned(), NameOf::Hosts(hosts)));
        self
    }

    /// Sets what the resolver says to a name at the start.
    #[must_use]
    pub fn lookup(mut self, name: &str, lookup: Lookup) -> Self {
        self.names.push((name.to_owned(), NameOf::Lookup(lookup)));
        self
    }

    /// Sets true time at the start, in Unix seconds.
    #[must_use]
    pub const fn start(mut self, unix_s: i64) -> Self {
        self.start_s = Some(unix_s);
        self
    }

    /// Schedules an action; `make` is given a lookup from names to hosts.
    #[must_use]
    pub fn at(
        mut self,
        at_s: f64,
        make: impl Fn(&dyn Fn(&str) -> NodeId) -> Action + 'static,
    ) -> Self {
        self.actions.push((at_s, Box::new(make)));
        self
    }

    /// Schedules a request by `chronyc` on a host.
    #[must_use]
    pub fn command_at(self, at_s: f64, name: &str, request: Request) -> Self {
        let name = name.to_owned();
        self.at(at_s, move |id| Action::Command(id(&name), request.clone()))
    }

    /// Changes the path between two hosts, in both directions.
    #[must_use]
    pub fn link_at(self, at_s: f64, a: &str, b: &str, link: Link) -> Self {
        let (a, b) = (a.to_owned(), b.to_owned());
        let (c, d) = (a.clone(), b.clone());
        self.at(at_s, move |id| Action::SetLink(id(&a), id(&b), link))
            .at(at_s, move |id| Action::SetLink(id(&d), id(&c), link))
    }

    /// Changes the delay of one direction of a path, and nothing else of it.
    #[must_use]
    pub fn delay_at(self, at_s: f64, from: &str, to: &str, delay_s: f64) -> Self {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.at(at_s, move |id| {
            Action::SetDelay(id(&from), id(&to), Seconds(delay_s))
        })
    }

    /// Changes the frequency of a host's oscillator by this much, ppm; positive makes it faster.
    #[must_use]
    pub fn frequency_step_at(self, at_s: f64, name: &str, by_ppm: f64) -> Self {
        let name = name.to_owned();
        self.at(at_s, move |id| Action::StepFrequency(id(&name), by_ppm))
    }

    /// Ends a host's daemon and starts it again some seconds later.
    #[must_use]
    pub fn restart_at(self, at_s: f64, pause_s: f64, name: &str) -> Self {
        let (a, b) = (name.to_owned(), name.to_owned());
        self.at(at_s, move |id| Action::Shutdown(id(&a)))
            .at(at_s + pause_s, move |id| Action::Start(id(&b)))
    }

    /// Observes the clocks this often (default: every second).
    #[must_use]
    pub const fn sample_every(mut self, seconds: f64) -> Self {
        self.sample_s = Some(seconds);
        self
    }

    /// Observes the clocks of these hosts only (default: all).
    #[must_use]
    pub fn observe_only(mut self, names: &[&str]) -> Self {
        self.observed = Some(names.iter().map(|&n| n.to_owned()).collect());
        self
    }

    /// Keeps no record of packets, for long runs of many hosts.
    #[must_use]
    pub const fn forget_packets(mut self) -> Self {
        self.forget_packets = true;
        self
    }

    /// Observes the clocks this often until some time, in addition to [`Self::sample_every`] which
    /// holds from then on.
    #[must_use]
    pub const fn sample_until(mut self, until_s: f64, seconds: f64) -> Self {
        self.closely = Some((until_s, seconds));
        self
    }

    /// Collects what does not hold ([`World::violations`]) instead of ending at the first of it.
    #[must_use]
    pub const fn collect_violations(mut self) -> Self {
        self.collects = true;
        self
    }

    /// Leaves out what is checked at every step, for long runs: nothing else changes.
    #[must_use]
    pub const fn leave_unchecked(mut self) -> Self {
        self.unchecked = true;
        self
    }

    /// Runs for `length_s` simulated seconds, then ends all daemons.
    ///
    /// # Errors
    /// The first error in a host's configuration.
    pub fn run(&self, seed: u64, length_s: f64) -> Result<Report, Box<ParseFailure>> {
        let start_ns = self
            .start_s
            .map_or(START_NS, |s| s.saturating_mul(to_ns(1.0)));
        let mut world = World::new(seed, start_ns, self.default_link);
        if self.collects {
            world.collect_violations();
        }
        for (index, host) in (0u16..).zip(&self.hosts) {
            let (config, boot) = host.read()?;
            world.add_node(NodeSetup {
                name: host.name.clone(),
                addresses: self.addresses(index),
                clock: host.clock,
                stamps: host.stamps,
                has_boot_time: host.has_boot_time,
                config,
                boot,
                load_dumps: host.load_dumps,
                drift_file: host.drift_file.clone(),
                devices: host.devices.clone(),
                start_s: host.start_s,
            });
        }
        let index: BTreeMap<&str, usize> =
            (0..).zip(&self.hosts).map(|(i, h)| (&*h.name, i)).collect();
        let find = |name: &str| NodeId(*index.get(name).expect("the scenario has this host"));
        for (from, to, link) in &self.links {
            world.set_link(find(from), find(to), *link);
        }
        for (queue, paths) in &self.queues {
            let paths: Vec<_> = paths.iter().map(|(a, b)| (find(a), find(b))).collect();
            world.share_queue(*queue, &paths);
        }
        if let Some(names) = &self.observed {
            let nodes: Vec<NodeId> = names.iter().map(|name| find(name)).collect();
            world.observe_only(&nodes);
        }
        if self.unchecked {
            world.leave_unchecked();
        }
        if self.forget_packets {
            world.forget_packets();
        }
        for (name, of) in &self.names {
            let lookup = match of {
                NameOf::Lookup(lookup) => lookup.clone(),
                NameOf::Hosts(hosts) => Lookup::Addresses(
                    (0u16..)
                        .zip(&self.hosts)
                        .filter(|(_, host)| hosts.contains(&host.name))
                        .flat_map(|(index, _)| self.addresses(index))
                        .collect(),
                ),
            };
            world.set_name(name, lookup);
        }
        for (at_s, make) in &self.actions {
            world.at(*at_s, make(&find));
        }
        if let Some((until_s, sample_s)) = self.closely {
            world.run(until_s.min(length_s), sample_s);
        }
        world.run(length_s, self.sample_s.unwrap_or(1.0));
        world.shut_down();
        let names = self.hosts.iter().map(|h| h.name.clone()).collect();
        Ok(Report::new(world, names))
    }

    /// The configuration of a host as its daemon will have it.
    ///
    /// # Errors
    /// The first error in it.
    ///
    /// # Panics
    /// When there is no host of that name.
    pub fn config(&self, name: &str) -> Result<Config, Box<ParseFailure>> {
        let host = self
            .hosts
            .get(self.index(name))
            .expect("index was just found");
        host.read().map(|(config, _)| config)
    }

    /// The names of all hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.name.as_str())
    }

    /// The addresses of a host, in the order in which its name resolves to them; nothing if there
    /// is no such host.
    #[must_use]
    pub fn addresses_of(&self, name: &str) -> Vec<IpAddr> {
        let hosts = (0u16..).zip(&self.hosts);
        hosts
            .filter(|(_, host)| host.name == name)
            .flat_map(|(index, _)| self.addresses(index))
            .collect()
    }

    fn addresses(&self, index: u16) -> Vec<IpAddr> {
        if let Some(host) = self.hosts.get(usize::from(index))
            && !host.addresses.is_empty()
        {
            return host.addresses.clone();
        }
        let n = index + 1;
        let [high, low] = n.to_be_bytes();
        let v4 = IpAddr::V4(Ipv4Addr::new(10, 0, high, low));
        let v6 = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n));
        match self.families {
            Families::V4 => vec![v4],
            Families::V6 => vec![v6],
            Families::Both => vec![v6, v4],
        }
    }

    /// # Panics
    /// When the scenario names a host it does not have: a mistake in the scenario itself.
    fn index(&self, name: &str) -> usize {
        // Most often it is the one just added.
        self.hosts
            .iter()
            .rposition(|h| h.name == name)
            .expect("the scenario has this host")
    }

    fn host_mut(&mut self, name: &str) -> &mut Host {
        let index = self.index(name);
        self.hosts.get_mut(index).expect("index was just found")
    }
}

impl Host {
    /// Its configuration, and what its daemon is told besides.
    fn read(&self) -> Result<(Config, Boot), Box<ParseFailure>> {
        let mut files = self.files.clone();
        files.insert(&self.config_path, &self.config);
        let options = ParseOptions::default();
        let parsed = timewright_config::parse_file(&self.config_path, &files, options)?;
        let config = parsed.config;
        let mut boot = self.boot.clone();
        let fragments = timewright_config::read_source_dirs(&config.source_dirs, &files);
        boot.fragments.extend(fragments);
        let content = |path: &Path| files.read_file(path).ok();
        if let Some(keys) = &config.process.key_file {
            boot.keys = boot.keys.or_else(|| content(keys));
        }
        if let Some(list) = &config.leap.list {
            boot.leap_list = boot.leap_list.or_else(|| content(list));
        }
        if let Some(zone) = &config.leap.timezone {
            boot.leap_zone = boot
                .leap_zone
                .or_else(|| content(&Path::new(ZONES).join(zone)));
        }
        if let Some(temp_comp) = &config.clock.temp_comp
            && let TempCurve::Points(points) = &temp_comp.curve
        {
            let text = content(points).and_then(|bytes| String::from_utf8(bytes).ok());
            boot.tempcomp_points = boot.tempcomp_points.or(text);
        }
        Ok((config, boot))
    }
}
