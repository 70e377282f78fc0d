//! The README tells the truth about directives without effect.

use timewright_config::directives::{self, Status};

#[test]
fn the_readme_lists_every_directive_without_effect() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, rest) = readme.split_once("<!-- pending-directives -->").unwrap();
    let (listed, _) = rest.split_once("<!-- /pending-directives -->").unwrap();
    let listed: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    let mut pending: Vec<&str> = directives::all()
        .filter(|directive| directive.status() == Status::Pending)
        .map(|directive| directive.name)
        .collect();
    pending.sort_unstable();
    assert_eq!(listed, pending);
}
