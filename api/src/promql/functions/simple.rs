//! Functions of one value and of scalars.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simple {
    Abs,
    Ceil,
    Floor,
    Round,
    Clamp,
    ClampMin,
    ClampMax,
}

impl Simple {
    /// `scalars` are the further arguments, as many as were given. `None` leaves the sample out.
    pub(in crate::promql) fn apply(self, value: f64, scalars: &[f64]) -> Option<f64> {
        let scalar = |n: usize| scalars.get(n).copied();
        Some(match self {
            Self::Abs => value.abs(),
            Self::Ceil => value.ceil(),
            Self::Floor => value.floor(),
            Self::Round => {
                // By the inverse, as Prometheus does: fewer errors of the last digit. Ties go up.
                let inverse = 1.0 / scalar(0).unwrap_or(1.0);
                (value * inverse + 0.5).floor() / inverse
            }
            Self::Clamp => {
                let (low, high) = (scalar(0)?, scalar(1)?);
                if high < low {
                    return None;
                }
                max(low, min(high, value))
            }
            Self::ClampMin => max(scalar(0)?, value),
            Self::ClampMax => min(scalar(0)?, value),
        })
    }
}

/// As Go's `math.Max`: NaN goes through, but for +Inf.
fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// As Go's `math.Min`: NaN goes through, but for -Inf.
fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}
