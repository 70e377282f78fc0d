//! Requests as bytes to an engine with a configuration, and what it says.

use crate::engine::testing::Bench;
use timewright_control::reply::{Activity, Tracking};
use timewright_control::request::{
    AddSource, Burst, LocalReference, Name, SourceFlags, SourceMask, SourceType,
};
use timewright_control::{Address, ReplyData, Request, Status};

/// Reports a test asks for often.
trait Reports {
    fn activity(&mut self) -> Activity;
    fn tracking(&mut self) -> Tracking;
}

impl Reports for Bench {
    fn activity(&mut self) -> Activity {
        match self.ask(&Request::Activity).data {
            ReplyData::Activity(activity) => activity,
            other => panic!("{other:?}"),
        }
    }

    fn tracking(&mut self) -> Tracking {
        match self.ask(&Request::Tracking).data {
            ReplyData::Tracking(tracking) => tracking,
            other => panic!("{other:?}"),
        }
    }
}

const FOUR_SOURCES: &str = "server 192.0.2.1 offline\n\
                            peer 192.0.2.2 offline\n\
                            server 2001:db8::3 offline\n\
                            server name.example offline\n";

fn mask(mask: Address, address: Address) -> SourceMask {
    SourceMask { mask, address }
}

fn ip(text: &str) -> Address {
    Address::from(text.parse::<std::net::IpAddr>().unwrap())
}

/// `control-protocol.md` 10, mask_addr: the address alone says whether all sources are meant.
#[test]
fn a_mask_without_an_address_means_all_sources() {
    for any in [
        Address::Unspecified,
        ip("255.255.0.0"),
        ip("ffff::"),
        Address::Id(5),
    ] {
        let mut bench = Bench::new(FOUR_SOURCES);
        assert_eq!(bench.activity().offline, 3);
        let all = mask(any, Address::Unspecified);
        assert_eq!(
            bench.ask(&Request::Online(all.clone())).status,
            Status::Success
        );
        assert_eq!(bench.activity().online, 3, "{any:?}");
        let burst = Burst {
            sources: all.clone(),
            good: 1,
            total: 2,
        };
        assert_eq!(bench.ask(&Request::Burst(burst)).status, Status::Success);
        assert_eq!(bench.ask(&Request::Offline(all)).status, Status::Success);
        assert_eq!(bench.activity().online, 0, "{any:?}");
    }
}

#[test]
fn a_mask_of_another_family_means_every_bit() {
    for (mask_text, address, online) in [
        ("255.255.255.0", "192.0.2.9", 2),
        ("ffff::", "192.0.2.1", 1),
        ("255.0.0.0", "2001:db8::3", 1),
        ("2001::", "2001:db8::9", 1),
    ] {
        let mut bench = Bench::new(FOUR_SOURCES);
        let some = mask(ip(mask_text), ip(address));
        assert_eq!(bench.ask(&Request::Online(some)).status, Status::Success);
        assert_eq!(bench.activity().online, online, "{mask_text} {address}");
    }
    let mut bench = Bench::new(FOUR_SOURCES);
    let none = mask(ip("ffff::"), ip("192.0.2.9"));
    assert_eq!(
        bench.ask(&Request::Online(none)).status,
        Status::NoSuchSource
    );
}

fn new_server(name: &str, port: u32) -> AddSource {
    AddSource {
        source_type: SourceType::Server,
        name: Name::new(name).unwrap(),
        port,
        minpoll: 6,
        maxpoll: 10,
        presend_minpoll: 100,
        min_stratum: 0,
        poll_target: 8,
        version: 0,
        max_sources: 4,
        min_samples: -1,
        max_samples: -1,
        auth_key: 0,
        nts_port: 4460,
        max_delay: 3.0,
        max_delay_ratio: 0.0,
        max_delay_dev_ratio: 10.0,
        min_delay: 0.0,
        asymmetry: 1.0,
        offset: 0.0,
        flags: SourceFlags::default(),
        filter_length: 0,
        cert_set: 0,
        max_delay_quant: 0.0,
        max_unreach: 100_000,
    }
}

/// The original takes the low half of the word.
#[test]
fn a_port_of_more_than_16_bits_is_cut() {
    let mut bench = Bench::new("");
    for (address, sent, taken) in [
        ("192.0.2.1", 123, 123),
        ("192.0.2.2", 65_536, 0),
        ("192.0.2.3", 70_000, 4464),
    ] {
        let add = Request::AddSource(Box::new(new_server(address, sent)));
        assert_eq!(bench.ask(&add).status, Status::Success, "{sent}");
        match bench.ask(&Request::NtpData(ip(address))).data {
            ReplyData::NtpData(data) => assert_eq!(data.remote_port, taken),
            other => panic!("{other:?}"),
        }
    }
}

/// Looking at the parameters activates a local reference that is enabled later (`discipline.md`
/// 8.9), as none asked for a distance until then.
#[test]
fn a_local_reference_is_activated_by_tracking() {
    for (looks, stratum) in [(false, 0), (true, 10)] {
        let mut bench = Bench::new("");
        if looks {
            assert_eq!(bench.tracking().stratum, 0);
        }
        let local = LocalReference {
            on: true,
            stratum: 10,
            distance: 1.0,
            orphan: false,
            activate: 0.1,
            wait_synced: 0.0,
            wait_unsynced: 0.0,
        };
        assert_eq!(bench.ask(&Request::Local(local)).status, Status::Success);
        assert_eq!(bench.tracking().stratum, stratum);
    }
}

/// The defaults of orphans are the client's; what it sends is taken as it is.
#[test]
fn a_local_reference_takes_the_times_it_is_given() {
    let mut bench = Bench::new("");
    let local = LocalReference {
        on: true,
        stratum: 7,
        distance: 1.0,
        orphan: true,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: 5.0,
    };
    assert_eq!(bench.ask(&Request::Local(local)).status, Status::Success);
    assert_eq!(bench.tracking().stratum, 0);
    let local = LocalReference {
        wait_unsynced: -1.0,
        ..local
    };
    assert_eq!(bench.ask(&Request::Local(local)).status, Status::Success);
    assert_eq!(bench.tracking().stratum, 7);
    let off = LocalReference { on: false, ..local };
    assert_eq!(bench.ask(&Request::Local(off)).status, Status::Success);
    assert_eq!(bench.tracking().stratum, 0);
    assert_eq!(
        bench.logs,
        [
            "Enabled local reference mode",
            "Enabled local reference mode",
            "Disabled local reference mode"
        ]
    );
}
