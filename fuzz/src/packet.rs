//! A datagram as an NTP packet: everything it can be asked, and building it again. Also the frame
//! around a packet, as the kernel returns it with a transmit time stamp.

use timewright_sys::frame;
use timewright_time::{Cooked, Timestamp};
use timewright_wire::{
    BuildError, HEADER_LEN, Header, Mode, MonoRoot, NetCorrection, Packet, PacketBuilder, refid,
};

/// Any Unix second: the era of time stamps.
const ERA_S: i64 = 1_700_000_000;

/// Parses `data` and takes the packet apart and together again; a frame is unwrapped first.
pub fn run(data: &[u8]) {
    packet(data);
    if let Some(frame) = frame::udp(data) {
        let end = frame.header_length + frame.payload.len();
        assert_eq!(data.get(frame.header_length..end), Some(frame.payload));
        packet(frame.payload);
    }
}

fn packet(data: &[u8]) {
    let packet = match Packet::parse(data) {
        Ok(packet) => packet,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(packet.bytes(), data);
    assert_eq!(packet.len(), data.len());

    let fields: usize = packet.fields().map(|field| 4 + field.body.len()).sum();
    let mac = packet.mac.map_or(0, |mac| mac.len());
    assert_eq!(HEADER_LEN + fields + mac, data.len());
    assert_eq!(packet.fields().count(), packet.field_count());
    for field in packet.fields() {
        if let Some(mono) = MonoRoot::read(field.body) {
            assert_eq!(mono.to_body(), field.body);
            let (delay, dispersion) = (mono.root_delay, mono.root_dispersion);
            assert!(delay.to_seconds().0 + dispersion.to_seconds().0 >= 0.0);
        }
        if let Some(net) = NetCorrection::read(field.body) {
            assert_eq!(&net.to_body()[..12], &field.body[..12]);
            assert!(
                NetCorrection::from_seconds(net.to_seconds())
                    .correction
                    .abs_diff(net.correction)
                    < 1 << 11
            );
        }
    }
    assert_eq!(
        packet.is_crypto_nak(),
        packet
            .mac
            .is_some_and(|mac| mac.key_id == 0 && mac.is_empty())
    );

    header(&packet.header, data);
    rebuild(&packet);
}

fn header(header: &Header, data: &[u8]) {
    assert_eq!(header.to_bytes(), data[..HEADER_LEN]);
    assert_eq!(Mode::peek(data), Some(header.mode));
    assert!(header.root_delay.to_seconds().0 >= 0.0);
    assert!(header.root_dispersion.to_seconds().0 >= 0.0);
    for stamp in [
        header.reference,
        header.originate,
        header.receive,
        header.transmit,
    ] {
        let time: Timestamp<Cooked> = stamp.to_timestamp(ERA_S);
        assert!(time.is_zero() || time.sec() >= ERA_S - 1);
        assert!(stamp.difference(header.transmit).0.abs() <= 2_147_483_649.0);
    }
    let random = timewright_wire::fuzz(header.transmit.0, header.precision);
    assert_eq!(random & !header.transmit.0, 0);
    if let Some(octets) = data.first_chunk::<16>() {
        let _ = refid::of_address(std::net::Ipv6Addr::from(*octets).into());
        let _ = refid::of_address(std::net::Ipv4Addr::from(header.refid).into());
    }
}

fn rebuild(packet: &Packet<'_>) {
    let len = packet.len();
    let mut buffer = vec![0; len + 4];
    assert_eq!(
        build(packet, &mut buffer[..len]).as_deref(),
        Ok(packet.bytes())
    );
    assert_eq!(build(packet, &mut buffer).as_deref(), Ok(packet.bytes()));
    // Where it cannot fit it is refused, at whatever part it stops.
    for room in [len - 1, HEADER_LEN + (len - HEADER_LEN) / 2, HEADER_LEN - 1] {
        if room < len {
            let refused = build(packet, &mut buffer[..room]);
            assert!(
                matches!(refused, Err(BuildError::NoRoom { .. })),
                "{refused:?}"
            );
        }
    }

    let mut builder = PacketBuilder::new(&mut buffer, &Header::default()).expect("48 bytes fit");
    builder.set_header(&packet.header);
    let body = packet.mac.map_or(&[][..], |mac| mac.digest);
    if let Err(error) = builder.add_field(0x1234, body) {
        assert!(!error.to_string().is_empty());
        assert_eq!(
            builder.bytes().len(),
            HEADER_LEN,
            "a refused field leaves no trace"
        );
    }
}

fn build(packet: &Packet<'_>, buffer: &mut [u8]) -> Result<Vec<u8>, BuildError> {
    let mut builder = PacketBuilder::new(buffer, &packet.header)?;
    for field in packet.fields() {
        builder.add_field(field.kind, field.body)?;
    }
    if let Some(mac) = packet.mac {
        builder.append(&mac.key_id.to_be_bytes())?;
        builder.append(mac.digest)?;
    }
    Ok(builder.finish().to_vec())
}
