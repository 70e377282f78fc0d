//! Who may use a service: the allow/deny table of `allow`, `deny`, `cmdallow` and `cmddeny`.
//!
//! One 16-ary trie per family, four address bits a level (`config.md` 6, `ntp-engine.md` 7.10).
//! The deepest node with a state on the path of an address decides; the root denies. Rules whose
//! prefix is no multiple of four set several siblings, so of two rules on one level the later
//! wins, not the longer prefix. That is how the reference behaves and configurations rely on it.

use crate::output::Family;
use std::fmt;
use std::net::IpAddr;

/// Children of a node: one per value of four address bits.
const FANOUT: usize = 16;
/// Address bits a level consumes.
const LEVEL_BITS: u32 = 4;

/// The addresses a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet(Scope);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Any,
    Net { address: IpAddr, bits: u32 },
}

/// A prefix longer than its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Bad subnet in {address}/{bits}")]
pub struct BadSubnet {
    /// The address.
    pub address: IpAddr,
    /// The prefix length asked for.
    pub bits: u32,
}

impl Subnet {
    /// Every address of both families.
    pub const ANY: Self = Self(Scope::Any);

    /// The addresses that share the first `bits` bits (0..=32 or 0..=128) with `address`.
    ///
    /// # Errors
    /// If the prefix is longer than the address.
    pub fn new(address: IpAddr, bits: u32) -> Result<Self, BadSubnet> {
        if bits > width(address) {
            return Err(BadSubnet { address, bits });
        }
        Ok(Self(Scope::Net { address, bits }))
    }

    /// One address alone.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self(Scope::Net {
            address,
            bits: width(address),
        })
    }
}

/// `any address`, an address alone for a full prefix, else `ADDRESS/BITS`.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Scope::Any => f.write_str("any address"),
            Scope::Net { address, bits } if bits == width(address) => write!(f, "{address}"),
            Scope::Net { address, bits } => write!(f, "{address}/{bits}"),
        }
    }
}

/// What a rule says about its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// One `allow` or `deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Whether the addresses may or may not.
    pub permission: Permission,
    /// Whether more specific rules made before are forgotten (`allow all`, `deny all`).
    pub all: bool,
    /// Whom it is about.
    pub subnet: Subnet,
}

impl AccessRule {
    /// The log message of a rule that took effect; `service` is `NTP` or `command`.
    #[must_use]
    pub fn message(&self, service: &str) -> String {
        let verb = match self.permission {
            Permission::Allow => "Allowed",
            Permission::Deny => "Denied",
        };
        let all = if self.all { " all" } else { "" };
        format!("{verb}{all} {service} access from {}", self.subnet)
    }
}

/// The rules of one service, for both families. Nobody may anything at first.
#[derive(Clone, Debug, Default)]
pub struct AccessTable {
    v4: Trie,
    v6: Trie,
}

impl AccessTable {
    /// A table that denies everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule; rules are applied in the order given.
    pub fn apply(&mut self, rule: &AccessRule) {
        let state = match rule.permission {
            Permission::Allow => State::Allow,
            Permission::Deny => State::Deny,
        };
        match rule.subnet.0 {
            Scope::Any => {
                self.v4.set(0, 0, state, rule.all);
                self.v6.set(0, 0, state, rule.all);
            }
            Scope::Net { address, bits } => {
                let trie = match address {
                    IpAddr::V4(_) => &mut self.v4,
                    IpAddr::V6(_) => &mut self.v6,
                };
                trie.set(left_aligned(address), bits, state, rule.all);
            }
        }
    }

    /// Whether an address may use the service.
    #[must_use]
    pub fn is_allowed(&self, address: IpAddr) -> bool {
        let trie = match address {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        trie.lookup(left_aligned(address), width(address))
    }

    /// Whether any address of the family may use the service, that is whether a socket is needed.
    #[must_use]
    pub fn any_allowed(&self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4.any_allowed(0, State::Deny),
            Family::V6 => self.v6.any_allowed(0, State::Deny),
        }
    }
}

/// Address bits of the family.
const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with its first bit on top, so that both families walk alike.
fn left_aligned(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// What a node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// What its parent says.
    Inherit,
    Allow,
    Deny,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    state: State,
    /// Block of children in [`Trie::blocks`] plus one; zero for a leaf.
    children: u32,
}

const LEAF: Node = Node {
    state: State::Inherit,
    children: 0,
};

/// A trie in one vector of blocks of siblings; the root is the first node of block zero.
#[derive(Clone, Debug)]
struct Trie {
    blocks: Vec<[Node; FANOUT]>,
    /// Blocks of deleted nodes, for reuse.
    free: Vec<u32>,
}

/// A node: its block and its place in it.
#[derive(Clone, Copy)]
struct Place {
    block: usize,
    child: usize,
}

const ROOT: Place = Place { block: 0, child: 0 };

impl Default for Trie {
    fn default() -> Self {
        let mut root = [LEAF; FANOUT];
        root[ROOT.child].state = State::Deny;
        Self {
            blocks: vec![root],
            free: Vec::new(),
        }
    }
}

/// The four bits of level `level` (0 = first) of a left-aligned address.
fn digit(address: u128, level: u32) -> usize {
    // Four bits fit any usize.
    ((address >> (u128::BITS - LEVEL_BITS * (level + 1))) & 0xf) as usize
}

#[expect(
    clippy::indexing_slicing,
    reason = "places and block numbers are made here only, children are masked to four bits"
)]
impl Trie {
    fn lookup(&self, address: u128, width: u32) -> bool {
        let mut node = self.blocks[ROOT.block][ROOT.child];
        let mut state = node.state;
        let mut level = 0;
        while node.children != 0 && level < width / LEVEL_BITS {
            node = self.blocks[node.children as usize - 1][digit(address, level)];
            if node.state != State::Inherit {
                state = node.state;
            }
            level += 1;
        }
        state == State::Allow
    }

    fn set(&mut self, address: u128, bits: u32, state: State, delete_children: bool) {
        let mut place = ROOT;
        let last_level = bits.div_ceil(LEVEL_BITS);
        for level in 0..last_level {
            place = Place {
                block: self.open(place),
                child: digit(address, level),
            };
        }
        // Bits of the last level beyond the prefix: all their values are set.
        let spare = last_level * LEVEL_BITS - bits;
        let first = place.child & !((1 << spare) - 1);
        for child in first..first + (1 << spare) {
            let place = Place { child, ..place };
            if delete_children {
                self.close(place);
            }
            self.blocks[place.block][child].state = state;
        }
    }

    /// The block of a node's children, made if there is none.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a block is 128 bytes; 2^32 of them do not fit the memory"
    )]
    fn open(&mut self, place: Place) -> usize {
        let children = self.blocks[place.block][place.child].children;
        if children != 0 {
            return children as usize - 1;
        }
        let block = match self.free.pop() {
            Some(block) => {
                self.blocks[block as usize] = [LEAF; FANOUT];
                block
            }
            None => {
                self.blocks.push([LEAF; FANOUT]);
                self.blocks.len() as u32 - 1
            }
        };
        self.blocks[place.block][place.child].children = block + 1;
        block as usize
    }

    /// Makes a node a leaf. The recursion is at most 32 levels deep.
    fn close(&mut self, place: Place) {
        let children = std::mem::take(&mut self.blocks[place.block][place.child].children);
        if children == 0 {
            return;
        }
        let block = children as usize - 1;
        for child in 0..FANOUT {
            self.close(Place { block, child });
        }
        self.free.push(children - 1);
    }

    fn any_allowed(&self, block: usize, inherited: State) -> bool {
        let nodes = if block == 0 {
            &self.blocks[0][..1]
        } else {
            &self.blocks[block][..]
        };
        nodes.iter().any(|node| {
            let state = match node.state {
                State::Inherit => inherited,
                own => own,
            };
            if node.children == 0 {
                state == State::Allow
            } else {
                self.any_allowed(node.children as usize - 1, state)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::test_rng::TestRng;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn net(text: &str) -> Subnet {
        let (address, bits) = text.split_once('/').unwrap();
        Subnet::new(address.parse().unwrap(), bits.parse().unwrap()).unwrap()
    }

    fn rule(text: &str) -> AccessRule {
        let mut words: Vec<_> = text.split(' ').collect();
        let permission = match words.remove(0) {
            "allow" => Permission::Allow,
            "deny" => Permission::Deny,
            other => panic!("{other}"),
        };
        let all = words.first() == Some(&"all");
        if all {
            words.remove(0);
        }
        let subnet = words.first().map_or(Subnet::ANY, |word| {
            if word.contains('/') {
                net(word)
            } else {
                Subnet::host(word.parse().unwrap())
            }
        });
        AccessRule {
            permission,
            all,
            subnet,
        }
    }

    #[track_caller]
    fn check(rules: &[&str], address: &str, want: bool) {
        let mut table = AccessTable::new();
        for text in rules {
            table.apply(&rule(text));
        }
        assert_eq!(
            table.is_allowed(address.parse().unwrap()),
            want,
            "{rules:?} {address}"
        );
    }

    #[test]
    fn rules_on_one_level_overwrite_and_deeper_ones_win() {
        check(&[], "1.2.3.4", false);
        check(&["allow"], "1.2.3.4", true);
        check(&["allow"], "2001:db8::1", true);
        check(&["allow 0.0.0.0/0"], "::1", false);
        check(&["deny 1.2.3.0/28", "allow 1.2.3.0/25"], "1.2.3.4", true);
        check(&["allow 1.2.3.0/25", "deny 1.2.3.0/28"], "1.2.3.4", false);
        check(&["deny 1.2.3.4", "allow 1.2.3.0/24"], "1.2.3.4", false);
        check(&["deny 1.2.3.4", "allow all 1.2.3.0/24"], "1.2.3.4", true);
        check(&["allow 1.2.3.4", "deny"], "1.2.3.4", true);
        check(&["allow 1.2.3.4", "deny all"], "1.2.3.4", false);
        check(&["allow 192.168.255.255/22"], "192.168.252.0", true);
        check(&["allow 192.168.255.255/22"], "192.168.251.255", false);
        check(&["allow 2001:db8::/33"], "2001:db8:7fff::1", true);
        check(&["allow 2001:db8::/33"], "2001:db8:8000::1", false);
    }

    #[test]
    fn sockets_are_needed_while_any_address_is_allowed() {
        for (rules, v4, v6) in [
            (&["deny"][..], false, false),
            (&["allow 1.2.3.4"], true, false),
            (&["allow ::1"], false, true),
            (&["allow 1.2.3.4", "deny"], true, false),
            (&["allow 1.2.3.4", "deny all"], false, false),
            (
                &["allow", "deny 0.0.0.0/1", "deny 128.0.0.0/1"],
                false,
                true,
            ),
            (&["allow", "deny 0.0.0.0/1", "deny 128.0.0.0/2"], true, true),
        ] {
            let mut table = AccessTable::new();
            for text in rules {
                table.apply(&rule(text));
            }
            let got = [Family::V4, Family::V6].map(|family| table.any_allowed(family));
            assert_eq!(got, [v4, v6], "{rules:?}");
        }
    }

    #[test]
    fn log_texts_name_the_subnet_as_the_reference_does() {
        for (text, want) in [
            ("allow", "Allowed NTP access from any address"),
            ("deny all", "Denied all NTP access from any address"),
            ("allow 10.0.0.0/8", "Allowed NTP access from 10.0.0.0/8"),
            ("allow 0.0.0.0/0", "Allowed NTP access from 0.0.0.0/0"),
            ("deny 10.0.0.1/32", "Denied NTP access from 10.0.0.1"),
            ("allow all ::1", "Allowed all NTP access from ::1"),
        ] {
            assert_eq!(rule(text).message("NTP"), want);
        }
        assert_eq!(
            rule("deny 10.0.0.0/9").message("command"),
            "Denied command access from 10.0.0.0/9"
        );
    }

    #[test]
    fn too_long_prefixes_are_refused() {
        let v4: IpAddr = "1.2.3.4".parse().unwrap();
        assert_eq!(
            Subnet::new(v4, 33).unwrap_err().to_string(),
            "Bad subnet in 1.2.3.4/33"
        );
        assert!(Subnet::new("::".parse().unwrap(), 128).is_ok());
        assert!(Subnet::new("::".parse().unwrap(), 129).is_err());
    }

    #[test]
    fn deleted_blocks_are_used_again() {
        let mut table = AccessTable::new();
        for _ in 0..10 {
            table.apply(&rule("allow 2001:db8::1"));
            table.apply(&rule("allow 2001:db8::8000:0"));
            table.apply(&rule("deny all"));
        }
        assert_eq!(table.v6.blocks.len(), 1 + 32 + 7);
    }

    fn flip(address: IpAddr, bit: u32) -> IpAddr {
        match address {
            IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4) ^ 1 << (31 - bit)).into(),
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) ^ 1 << (127 - bit)).into(),
        }
    }

    /// The expectations of `ntp-engine.md` 10.1, `addrfilt`.
    #[test]
    fn random_rules_follow_the_levels() {
        let mut rng = TestRng::new(1);
        for round in 0..2000 {
            let v6 = round % 2 == 1;
            let address: IpAddr = if v6 {
                Ipv6Addr::from(u128::from(rng.next()) << 64 | u128::from(rng.next())).into()
            } else {
                Ipv4Addr::from(u32::try_from(rng.next() >> 32).unwrap()).into()
            };
            let bits = u32::try_from(rng.next() % u64::from(width(address) + 1)).unwrap();
            let mut table = AccessTable::new();
            let mut apply = |permission, all, bits| {
                table.apply(&AccessRule {
                    permission,
                    all,
                    subnet: Subnet::new(address, bits).unwrap(),
                });
                table.clone()
            };
            let what = format!("{address}/{bits}");
            let after = apply(Permission::Allow, false, bits);
            assert!(after.is_allowed(address), "{what}");
            if bits < width(address) {
                assert!(after.is_allowed(flip(address, bits)), "{what}");
            }
            if bits > 0 {
                assert!(!after.is_allowed(flip(address, bits - 1)), "{what}");
                let after = apply(Permission::Deny, false, bits - 1);
                assert_eq!(after.is_allowed(address), bits % 4 == 1, "{what}");
            }
            let after = apply(Permission::Allow, true, bits.saturating_sub(4));
            assert!(after.is_allowed(address), "{what}");
            let after = apply(Permission::Deny, true, 0);
            assert!(!after.is_allowed(address), "{what}");
            assert!(!after.any_allowed(Family::of(address)), "{what}");
        }
    }
}
