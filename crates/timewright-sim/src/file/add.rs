//! `add server|peer|pool NAME [OPTION]...` and `local`: what a line of a configuration means, as a
//! request of the control protocol.

use timewright_config::source::parse_source;
use timewright_config::{Family, LocalSpec, SourceKind, SourceOptions};
use timewright_control::Request;
use timewright_control::request::{AddSource, LocalReference, Name, SourceFlags, SourceType};

/// The request that adds the source of `line`, which begins with `server`, `peer` or `pool`.
pub(super) fn source(line: &str, rename: impl FnOnce(String) -> String) -> Result<Request, String> {
    let (keyword, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let kind = SourceKind::from_keyword(keyword.as_bytes())
        .ok_or_else(|| format!("`{keyword}` should be server, peer or pool"))?;
    let spec = parse_source(kind, arguments.as_bytes()).map_err(|error| error.to_string())?;
    let source_type = match kind {
        SourceKind::Server => SourceType::Server,
        SourceKind::Peer => SourceType::Peer,
        SourceKind::Pool => SourceType::Pool,
    };
    let name = rename(spec.name);
    let name = Name::new(&name).map_err(|_| format!("`{name}` is too long for a name"))?;
    Ok(Request::AddSource(Box::new(with_options(
        AddSource::new(source_type, name),
        &spec.options,
    ))))
}

fn with_options(source: AddSource, options: &SourceOptions) -> AddSource {
    let signed = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    AddSource {
        port: options.port.into(),
        minpoll: options.minpoll,
        maxpoll: options.maxpoll,
        presend_minpoll: options.presend,
        min_stratum: options.minstratum.into(),
        poll_target: options.polltarget,
        version: options.version.map_or(0, u32::from),
        max_sources: options.maxsources,
        min_samples: options.minsamples.map_or(-1, signed),
        max_samples: options.maxsamples.map_or(-1, signed),
        auth_key: options.key.unwrap_or(0),
        nts_port: options.ntsport.into(),
        max_delay: options.maxdelay,
        max_delay_ratio: options.maxdelayratio,
        max_delay_dev_ratio: options.maxdelaydevratio,
        min_delay: options.mindelay,
        asymmetry: options.asymmetry,
        offset: options.offset,
        flags: flags(options),
        filter_length: signed(options.filter),
        cert_set: options.certset,
        max_delay_quant: options.maxdelayquant,
        max_unreach: signed(options.maxunreach),
        ..source
    }
}

fn flags(options: &SourceOptions) -> SourceFlags {
    let fields = &options.extfields;
    let set = [
        (SourceFlags::ONLINE, !options.offline),
        (SourceFlags::AUTO_OFFLINE, options.auto_offline),
        (SourceFlags::IBURST, options.iburst),
        (SourceFlags::BURST, options.burst),
        (SourceFlags::INTERLEAVED, options.xleave),
        (SourceFlags::NTS, options.nts),
        (SourceFlags::COPY, options.copy),
        (SourceFlags::PREFER, options.select.prefer),
        (SourceFlags::NOSELECT, options.select.noselect),
        (SourceFlags::TRUST, options.select.trust),
        (SourceFlags::REQUIRE, options.select.require),
        (SourceFlags::EXTFIELD_MONO_ROOT, fields.mono_root),
        (
            SourceFlags::EXTFIELD_NET_CORRECTION,
            fields.net_correction || fields.net_correction_10a,
        ),
        (SourceFlags::IPV4, options.family == Some(Family::V4)),
        (SourceFlags::IPV6, options.family == Some(Family::V6)),
    ];
    set.into_iter()
        .fold(SourceFlags::default(), |flags, (flag, on)| {
            flags.with(flag, on)
        })
}

/// The request that sets or, with `None`, ends the local reference.
pub(super) fn local(spec: Option<&LocalSpec>) -> Request {
    let default = LocalSpec::default();
    let values = spec.unwrap_or(&default);
    Request::Local(LocalReference {
        on: spec.is_some(),
        stratum: values.stratum.into(),
        distance: values.distance.0,
        orphan: values.orphan,
        activate: values.activate.0,
        wait_synced: values.waitsynced.0,
        wait_unsynced: values.waitunsynced.0,
    })
}
