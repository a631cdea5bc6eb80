//! What a sealed sample takes, over the recorded clusters.

use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::{replay, wiring};

use crate::captures::captures;

/// Bytes of all chunks over samples in them, time, value, series and index included.
#[test]
#[allow(clippy::print_stdout)]
fn a_sealed_sample_takes_six_bytes_at_most() {
    let config = ConfigFile::default().validate().unwrap();
    let (mut bytes, mut samples) = (0, 0);
    for path in captures() {
        let messages = Capture::open(&path).unwrap().messages().unwrap();
        let stats = replay::run(wiring::core(&config), messages, config.lateness).core.stats();
        assert_eq!(stats.bytes["tail"], 0, "{}: not all is sealed", path.display());
        bytes += stats.bytes["chunks"];
        samples += stats.samples_held;
    }
    let each = bytes as f64 / samples as f64;
    println!("{samples} samples sealed in {bytes} bytes: {each:.2} bytes a sample");
    assert!(samples > 100_000 && each <= 6.0, "{samples} samples, {each:.2} bytes a sample");
}
