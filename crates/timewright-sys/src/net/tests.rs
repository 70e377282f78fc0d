//! Loopback only, ports chosen by the kernel.

use super::*;
use std::net::IpAddr;

const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

fn bound(family: Family, address: &str) -> (Socket, SocketAddr) {
    let socket = Socket::udp(family).unwrap();
    socket.set_packet_info(family).unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    let local = socket.local_address().unwrap().unwrap();
    (socket, local)
}

fn wait_input(socket: &Socket) {
    let mut entries = [Entry::input(socket.as_fd())];
    assert_eq!(poll::poll(&mut entries, Some(5000)).unwrap(), 1);
}

#[test]
fn datagrams_carry_addresses_and_interface_both_ways() {
    for (family, address) in [(Family::V4, V4), (Family::V6, V6)] {
        let Ok(probe) = Socket::udp(family) else {
            panic!("the system lacks {family:?}");
        };
        if family == Family::V6 && probe.bind(V6.parse().unwrap()).is_err() {
            // A host without an IPv6 loopback address has nothing to test here.
            continue;
        }
        let (server, server_address) = bound(family, address);
        let client = Socket::udp(family).unwrap();
        client.connect(server_address).unwrap();
        let client_address = client.local_address().unwrap().unwrap();
        client.send(b"question").unwrap();

        wait_input(&server);
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&server).unwrap(), 1);
        let got = batch.message(0).unwrap();
        assert_eq!(got.bytes, b"question");
        assert_eq!(got.from, Peer::Inet(client_address));
        assert_eq!(got.local, Some(server_address.ip()));
        assert!(got.interface > 0 && !got.damaged);
        assert!(batch.message(1).is_none());

        let mut answer = Outgoing::new(b"answer", Destination::Inet(client_address));
        answer.from = got.local;
        server.send_message(&answer).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(client.receive_within(&mut buffer, 5000).unwrap(), Some(6));
        assert_eq!(&buffer[..6], b"answer");
    }
}

#[test]
fn a_reply_from_a_chosen_loopback_address() {
    let server = Socket::udp(Family::V4).unwrap();
    server.set_packet_info(Family::V4).unwrap();
    server.bind("0.0.0.0:0".parse().unwrap()).unwrap();
    let port = server.local_address().unwrap().unwrap().port();
    let (client, client_address) = bound(Family::V4, V4);
    let chosen: IpAddr = "127.0.0.5".parse().unwrap();
    let mut out = Outgoing::new(b"x", Destination::Inet(client_address));
    out.from = Some(chosen);
    server.send_message(&out).unwrap();
    wait_input(&client);
    let mut batch = Batch::new();
    batch.receive(&client).unwrap();
    assert_eq!(
        batch.message(0).unwrap().from,
        Peer::Inet(SocketAddr::new(chosen, port))
    );
}

#[test]
fn batches_take_many_and_cut_messages_are_marked() {
    let (server, server_address) = bound(Family::V4, V4);
    let client = Socket::udp(Family::V4).unwrap();
    client.connect(server_address).unwrap();
    for i in 0..20u8 {
        client.send(&[i; 4]).unwrap();
    }
    client.send(&[0xff; PAYLOAD_MAX + 1]).unwrap();
    let mut batch = Batch::new();
    assert_eq!(batch.receive(&server).unwrap(), BATCH);
    let first: Vec<u8> = batch.messages().map(|m| m.bytes[0]).collect();
    assert_eq!(first, (0..16).collect::<Vec<u8>>());
    assert_eq!(batch.receive(&server).unwrap(), 5);
    assert!(!batch.message(3).unwrap().damaged);
    assert!(batch.message(4).unwrap().damaged);
    let error = batch.receive(&server).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn as_many_buffers_are_offered_as_are_likely_to_be_used() {
    let (server, server_address) = bound(Family::V4, V4);
    let client = Socket::udp(Family::V4).unwrap();
    client.connect(server_address).unwrap();
    let mut batch = Batch::new();
    client.send(b"one").unwrap();
    wait_input(&server);
    assert_eq!(batch.receive(&server).unwrap(), 1);
    for _ in 0..40 {
        client.send(b"many").unwrap();
    }
    wait_input(&server);
    let mut counts = Vec::new();
    while let Ok(count) = batch.receive(&server) {
        counts.push(count);
    }
    assert_eq!(counts, [1, 2, 4, 8, 16, 9]);
    // A call in vain teaches nothing.
    client.send(b"one").unwrap();
    wait_input(&server);
    assert_eq!(batch.receive(&server).unwrap(), 1);
}

#[test]
fn many_datagrams_leave_with_one_call() {
    let (server, server_address) = bound(Family::V4, V4);
    let client = Socket::udp(Family::V4).unwrap();
    let payloads: Vec<[u8; 1]> = (0..20u8).map(|i| [i]).collect();
    let to = Destination::Inet(server_address);
    let mut out: Vec<Outgoing<'_>> = payloads.iter().map(|p| Outgoing::new(p, to)).collect();
    out[2].from = Some("127.0.0.9".parse().unwrap());
    assert_eq!(client.send_messages(&out).unwrap(), BATCH);
    assert_eq!(client.send_messages(&out[BATCH..]).unwrap(), 4);
    assert_eq!(client.send_messages(&[]).unwrap(), 0);

    let mut batch = Batch::new();
    wait_input(&server);
    assert_eq!(batch.receive(&server).unwrap(), BATCH);
    for (index, message) in batch.messages().enumerate() {
        assert_eq!(message.bytes, payloads[index]);
        let Peer::Inet(from) = message.from else {
            panic!("{message:?}");
        };
        let last_octet = if index == 2 { 9 } else { 1 };
        assert_eq!(from.ip(), IpAddr::from([127, 0, 0, last_octet]));
    }
    assert_eq!(batch.receive(&server).unwrap(), 4);

    // One that cannot be sent ends the batch; as the first it is the error.
    out[1].from = Some("192.0.2.1".parse().unwrap());
    assert_eq!(client.send_messages(&out).unwrap(), 1);
    assert!(client.send_messages(&out[1..]).is_err());
}

#[test]
fn the_kernel_stamps_received_and_sent_datagrams() {
    let (server, server_address) = bound(Family::V4, V4);
    server.set_timestamping(stamping::RECEIVE).unwrap();
    server.set_select_error_queue().unwrap();
    let (client, client_address) = bound(Family::V4, V4);
    client
        .set_timestamping(stamping::RECEIVE | stamping::TRANSMIT)
        .unwrap();
    client.set_select_error_queue().unwrap();
    client.connect(server_address).unwrap();

    // Receive stamping begins some time after it was asked for, so the first may lack one.
    let mut batch = Batch::new();
    let mut received = None;
    for _ in 0..100 {
        client.send(b"request").unwrap();
        wait_input(&server);
        batch.receive(&server).unwrap();
        received = batch.message(0).unwrap().stamps.kernel;
        if received.is_some() {
            break;
        }
        crate::clock::pause_ms(10);
    }
    let received = received.expect("no receive stamp");
    let now = crate::clock::realtime().unwrap();
    assert!((now - received).abs() < 5_000_000_000);

    // The transmit stamp of the client, by its permanent option.
    check_tx_stamp(&client, b"request", server_address);

    // The server asks for one message only.
    let mut out = Outgoing::new(b"response", Destination::Inet(client_address));
    out.from = Some(server_address.ip());
    out.stamp_flags = Some(stamping::TRANSMIT);
    server.send_message(&out).unwrap();
    check_tx_stamp(&server, b"response", client_address);
    out.stamp_flags = None;
    server.send_message(&out).unwrap();
    let error = batch.receive_errors(&server).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[track_caller]
fn check_tx_stamp(socket: &Socket, payload: &[u8], to: SocketAddr) {
    let mut entries = [Entry::input_and_errors(socket.as_fd())];
    poll::poll(&mut entries, Some(5000)).unwrap();
    assert!(entries[0].has_error());
    let mut batch = Batch::new();
    assert!(batch.receive_errors(socket).unwrap() >= 1);
    let message = batch.message(0).unwrap();
    assert!(message.is_stamp && !message.damaged);
    assert!(message.stamps.kernel.is_some());
    let frame = crate::frame::udp(message.bytes).expect("frame");
    assert_eq!(frame.payload, payload);
    assert_eq!(frame.destination, to);
}

#[test]
fn a_refusal_shows_up_and_can_be_cleared() {
    let (closed, address) = bound(Family::V4, V4);
    drop(closed);
    let client = Socket::udp(Family::V4).unwrap();
    client.connect(address).unwrap();
    client.send(b"x").unwrap();
    let mut entries = [Entry::input_and_errors(client.as_fd())];
    poll::poll(&mut entries, Some(5000)).unwrap();
    assert!(entries[0].has_error());
    let error = client.take_error().unwrap().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(client.take_error().unwrap().is_none());
}

#[test]
fn unix_datagrams_name_their_sender() {
    let dir = std::env::temp_dir().join(format!("timewright-sys-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = |name: &str| dir.join(name).to_str().unwrap().as_bytes().to_vec();
    let server = Socket::unix_datagram().unwrap();
    server.bind_path(&path("server")).unwrap();
    let client = Socket::unix_datagram().unwrap();
    client.connect_path(&path("server")).unwrap();
    let mut batch = Batch::new();

    client.send(b"who am I").unwrap();
    batch.receive(&server).unwrap();
    assert!(matches!(
        batch.message(0).unwrap().from,
        Peer::Unknown | Peer::Unix(_)
    ));
    let unnamed = batch.message(0).unwrap().from;
    assert!(unnamed == Peer::Unknown || unnamed == Peer::Unix(Vec::new()));

    let client = Socket::unix_datagram().unwrap();
    client.bind_path(&path("client")).unwrap();
    client.connect_path(&path("server")).unwrap();
    client.send(b"hello").unwrap();
    batch.receive(&server).unwrap();
    let got = batch.message(0).unwrap();
    assert_eq!(got.from, Peer::Unix(path("client")));
    let out = Outgoing::new(b"hi", Destination::Unix(b"/nonexistent/x"));
    assert!(server.send_message(&out).is_err());
    let to = path("client");
    server
        .send_message(&Outgoing::new(b"hi", Destination::Unix(&to)))
        .unwrap();
    let mut buffer = [0; 8];
    assert_eq!(client.receive_within(&mut buffer, 5000).unwrap(), Some(2));
    assert_eq!(client.receive_within(&mut buffer, 1).unwrap(), None);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_fits_the_interface_is_sent_without_fragments() {
    let (receiver, address) = bound(Family::V4, V4);
    let sender = Socket::udp(Family::V4).unwrap();
    sender.set_never_fragment().unwrap();
    sender.connect(address).unwrap();
    assert_eq!(sender.send(&[1; PAYLOAD_MAX]).unwrap(), PAYLOAD_MAX);
    wait_input(&receiver);
    assert_eq!(Batch::new().receive(&receiver).unwrap(), 1);
    // The loopback interface takes 65536 bytes with headers.
    assert!(sender.send(&[1; 65_535]).is_err());
}

#[test]
fn options_of_a_server_socket() {
    let socket = Socket::udp(Family::V6).unwrap();
    socket.set_reuse_address().unwrap();
    socket.set_reuse_port().unwrap();
    socket.set_broadcast().unwrap();
    socket.set_free_bind().unwrap();
    socket.set_v6_only().unwrap();
    assert!(socket.is_v6_only().unwrap());
    socket.set_dscp(Family::V6, 46).unwrap();
    socket.set_simple_timestamps().unwrap();
    assert_eq!(socket.kind().unwrap(), Kind::Datagram);
    assert!(socket.bind_to_device("no-such-interface").is_err());
}
