//! Sources that are to be authenticated by means that are not at hand.

use timewright_sim::Scenario;

#[test]
fn a_source_without_its_key_is_never_asked() {
    for option in ["key 7", "nts"] {
        let report = Scenario::new()
            .node("server", "local stratum 1\nallow\n")
            .node("client", &format!("server server iburst {option}\n"))
            .run(1, 1000.0)
            .unwrap();
        assert_eq!(report.node("client").sent, 0, "{option}");
        assert!(
            !report.log_text("client").contains("Selected source"),
            "{option}"
        );
    }
}
