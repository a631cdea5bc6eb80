//! Processor time of the calling thread, as the kernel counts it.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Of the thread that opens it: time on a processor in nanoseconds, then what does not matter here.
const FILE: &str = "/proc/thread-self/schedstat";

thread_local! {
    /// Opened once a thread; `None` where the kernel has no such file.
    static OWN: RefCell<Option<Option<File>>> = const { RefCell::new(None) };
}

/// How long this thread has run; `None` where that cannot be known. It costs a read of a file that is in memory, 0.6 µs.
///
/// The kernel adds up some hundred times a second and when threads change: of short spans most show none, and some all that was
/// added up, so that the sum over many of them is right and that of few is not.
pub fn thread_time() -> Option<Duration> {
    OWN.with(|own| {
        let mut own = own.borrow_mut();
        let file = own.get_or_insert_with(|| File::open(FILE).ok()).as_ref()?;
        let mut text = [0u8; 64];
        let length = file.read_at(&mut text, 0).ok()?;
        first_number(text.get(..length)?).map(Duration::from_nanos)
    })
}

fn first_number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_first_number_is_the_time() {
        assert_eq!(first_number(b"1234567 89 10\n"), Some(1_234_567));
        assert_eq!((first_number(b""), first_number(b"x 1")), (None, None));
    }

    #[test]
    fn a_thread_that_works_takes_time_of_its_own() {
        let Some(before) = thread_time() else { return };
        let mut sum = 0u64;
        for n in 0..20_000_000u64 {
            sum = sum.wrapping_mul(31).wrapping_add(std::hint::black_box(n));
        }
        std::hint::black_box(sum);
        assert!(thread_time().unwrap() > before);
        // Another thread has its own.
        let other = std::thread::spawn(|| thread_time().unwrap()).join().unwrap();
        assert!(other < thread_time().unwrap());
    }
}
