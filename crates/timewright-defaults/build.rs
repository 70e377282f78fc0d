//! Turns the environment of the build into the constants of the crate.
#![forbid(unsafe_code)]

#[path = "src/options.rs"]
mod options;

use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/options.rs");
    let variables = options::OPTIONS.iter().map(|option| option.variable);
    for variable in variables.chain([options::NTP_ERA, options::BUILD_TIME]) {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    match options::values(|variable| std::env::var(variable).ok()) {
        Ok(values) => {
            for (constant, value) in values {
                println!("cargo::rustc-env=TIMEWRIGHT_BUILT_{constant}={value}");
            }
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            println!("cargo::error=build option {complaint}");
            ExitCode::FAILURE
        }
    }
}
