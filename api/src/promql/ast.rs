//! A query as a tree. Its height is bounded by the parser, so whoever walks it may recurse.

use super::functions::Function;
use super::matcher::Matcher;

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Number(f64),
    Selector(Selector),
    Range(Selector, i64),
    Negated(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Function, Vec<Expr>),
}

/// What an expression evaluates to at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Vector,
    Matrix,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    /// Milliseconds into the past.
    pub(crate) offset: i64,
    pub(crate) at: Option<At>,
}

/// The `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Millis(i64),
    Start,
    End,
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) op: Op,
    /// A comparison gives 0 or 1 instead of leaving out.
    pub(crate) bool: bool,
    pub(crate) matching: Matching,
    pub(crate) left: Expr,
    pub(crate) right: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Unless,
}

impl Op {
    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    pub(crate) fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    /// Whether the result is another measure. Prometheus 2.42 keeps the name for `atan2`.
    pub(crate) fn drops_name(self) -> bool {
        matches!(self, Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Mod | Self::Pow)
    }

    /// How strongly it binds; `^` binds to the right.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "+" => Self::Add,
            "-" => Self::Sub,
            "*" => Self::Mul,
            "/" => Self::Div,
            "%" => Self::Mod,
            "^" => Self::Pow,
            "atan2" => Self::Atan2,
            "==" => Self::Eq,
            "!=" => Self::Ne,
            "<" => Self::Lt,
            "<=" => Self::Le,
            ">" => Self::Gt,
            ">=" => Self::Ge,
            "and" => Self::And,
            "or" => Self::Or,
            "unless" => Self::Unless,
            _ => return None,
        })
    }
}

/// Which series of two sides belong together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    /// By `labels` alone, or by all but them.
    pub(crate) on: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) many: Option<Many>,
    /// Labels that the result takes over from the side that has one.
    pub(crate) include: Vec<String>,
}

/// The side of which several may match one of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Many {
    Left,
    Right,
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) kind: Aggregation,
    /// How many, for [`Aggregation::TopK`] and [`Aggregation::BottomK`].
    pub(crate) parameter: Option<Expr>,
    pub(crate) of: Expr,
    pub(crate) labels: Vec<String>,
    pub(crate) without: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Count,
    Avg,
    Min,
    Max,
    TopK,
    BottomK,
}

impl Aggregation {
    pub(super) fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "sum" => Self::Sum,
            "count" => Self::Count,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "topk" => Self::TopK,
            "bottomk" => Self::BottomK,
            _ => return None,
        })
    }

    pub(super) fn has_parameter(self) -> bool {
        matches!(self, Self::TopK | Self::BottomK)
    }
}

impl Expr {
    pub(crate) fn kind(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::Selector(_) | Self::Aggregate(_) => Type::Vector,
            Self::Range(..) => Type::Matrix,
            Self::Negated(of) => of.kind(),
            Self::Binary(b) if b.left.kind() == Type::Scalar && b.right.kind() == Type::Scalar => Type::Scalar,
            Self::Binary(_) => Type::Vector,
            Self::Call(function, _) => function.returns(),
        }
    }
}
