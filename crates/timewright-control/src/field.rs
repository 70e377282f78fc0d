//! How a value lies on the wire: big-endian, no gaps, fields in the order they are listed.

use crate::{Status, float};
use thiserror::Error;

/// Why the bytes of a payload are not the value they should be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The payload ends inside a field.
    #[error("payload ends {missing} bytes too early")]
    TooShort {
        /// How many bytes the field still needed.
        missing: usize,
    },
    /// A request asks for something that has no meaning.
    #[error("no such {what}: {value}")]
    BadValue {
        /// What the field selects.
        what: &'static str,
        /// The value sent.
        value: i64,
    },
    /// A name fills its field without an end, or holds other than printable characters.
    #[error("unusable name")]
    BadName,
}

impl DecodeError {
    /// The status a daemon answers with.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::TooShort { .. } => Status::BadPacketLength,
            Self::BadValue { .. } => Status::Invalid,
            Self::BadName => Status::InvalidName,
        }
    }
}

/// The bytes not yet decoded.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .bytes
            .split_first_chunk()
            .ok_or_else(|| DecodeError::TooShort {
                missing: N - self.bytes.len(),
            })?;
        self.bytes = rest;
        Ok(*head)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<(), DecodeError> {
        self.bytes = self
            .bytes
            .get(count..)
            .ok_or_else(|| DecodeError::TooShort {
                missing: count - self.bytes.len(),
            })?;
        Ok(())
    }
}

/// The bytes encoded so far.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn fill(&mut self, count: usize, byte: u8) {
        self.bytes.resize(self.bytes.len() + count, byte);
    }

    /// Zeros up to `length` bytes in total.
    pub(crate) fn pad_to(&mut self, length: usize) {
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A value with one fixed place and length on the wire.
pub(crate) trait Field: Sized {
    /// Length in bytes.
    const SIZE: usize;
    fn put(&self, to: &mut Writer);
    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! integer_fields {
    ($($int:ty)*) => { $(
        impl Field for $int {
            const SIZE: usize = size_of::<Self>();
            fn put(&self, to: &mut Writer) {
                to.bytes(&self.to_be_bytes());
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                from.array().map(Self::from_be_bytes)
            }
        }
    )* };
}

integer_fields! { u8 i8 u16 i16 u32 i32 u64 }

/// Floating-point fields use the format of [`crate::float`].
impl Field for f64 {
    const SIZE: usize = u32::SIZE;
    fn put(&self, to: &mut Writer) {
        float::encode(*self).put(to);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u32::take(from).map(float::decode)
    }
}

/// One byte; anything but zero is true.
impl Field for bool {
    const SIZE: usize = 1;
    fn put(&self, to: &mut Writer) {
        u8::from(*self).put(to);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u8::take(from).map(|byte| byte != 0)
    }
}

impl<T: Field> Field for Box<T> {
    const SIZE: usize = T::SIZE;
    fn put(&self, to: &mut Writer) {
        T::put(self, to);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::take(from).map(Self::new)
    }
}

/// A struct whose fields lie on the wire in the order listed. `=> zeros(n)` and `=> ones(n)`
/// after a field are reserved bytes: written so, ignored when read.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident : $size:literal bytes {
            $( $(#[$field_meta:meta])* $field:ident : $ty:ty $(=> $fill:ident($count:literal))? ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $ty, )* }

        impl $crate::field::Field for $name {
            const SIZE: usize = 0 $( + <$ty as $crate::field::Field>::SIZE $(+ $count)? )*;

            fn put(&self, to: &mut $crate::field::Writer) {
                $( self.$field.put(to); $( to.fill($count, $crate::field::$fill()); )? )*
            }

            fn take(from: &mut $crate::field::Reader<'_>) -> Result<Self, $crate::field::DecodeError> {
                $( let $field = <$ty as $crate::field::Field>::take(from)?; $( from.skip($count)?; )? )*
                Ok(Self { $($field),* })
            }
        }

        const _: () = assert!(<$name as $crate::field::Field>::SIZE == $size);
    };
}
pub(crate) use record;

pub(crate) const fn zeros() -> u8 {
    0
}

pub(crate) const fn ones() -> u8 {
    0xff
}

/// An enumeration on the wire. With `else Other` codes without a name are kept; with
/// `else refuse "what"` they are a [`DecodeError::BadValue`].
macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $name:ident : $int:ty {
            $( $(#[$code_meta:meta])* $code:ident = $value:literal ),* $(,)?
        } else Other
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$code_meta])* $code, )*
            /// A code without a name, never one of the above.
            Other($int),
        }

        impl $name {
            /// From the number on the wire.
            #[must_use]
            pub const fn from_code(code: $int) -> Self {
                match code { $( $value => Self::$code, )* other => Self::Other(other) }
            }

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> $int {
                match self { $( Self::$code => $value, )* Self::Other(code) => code }
            }
        }

        impl $crate::field::Field for $name {
            const SIZE: usize = <$int as $crate::field::Field>::SIZE;
            fn put(&self, to: &mut $crate::field::Writer) {
                self.code().put(to);
            }
            fn take(from: &mut $crate::field::Reader<'_>) -> Result<Self, $crate::field::DecodeError> {
                <$int as $crate::field::Field>::take(from).map(Self::from_code)
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident : $int:ty {
            $( $(#[$code_meta:meta])* $code:ident = $value:literal ),* $(,)?
        } else refuse $what:literal
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[$code_meta])* $code, )* }

        impl $crate::field::Field for $name {
            const SIZE: usize = <$int as $crate::field::Field>::SIZE;
            fn put(&self, to: &mut $crate::field::Writer) {
                let code: $int = match self { $( Self::$code => $value, )* };
                code.put(to);
            }
            fn take(from: &mut $crate::field::Reader<'_>) -> Result<Self, $crate::field::DecodeError> {
                match <$int as $crate::field::Field>::take(from)? {
                    $( $value => Ok(Self::$code), )*
                    other => Err($crate::field::DecodeError::BadValue { what: $what, value: other.into() }),
                }
            }
        }
    };
}
pub(crate) use codes;

/// A set of named bits; bits without a name are kept.
macro_rules! flags {
    (
        $(#[$meta:meta])*
        pub struct $name:ident : $int:ty {
            $( $(#[$flag_meta:meta])* const $flag:ident = $value:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub $int);

        impl $name {
            $( $(#[$flag_meta])* pub const $flag: Self = Self($value); )*

            /// Whether all bits of `other` are set here.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// This set with the bits of `other` set or cleared.
            #[must_use]
            pub const fn with(self, other: Self, on: bool) -> Self {
                if on { Self(self.0 | other.0) } else { Self(self.0 & !other.0) }
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl std::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl $crate::field::Field for $name {
            const SIZE: usize = <$int as $crate::field::Field>::SIZE;
            fn put(&self, to: &mut $crate::field::Writer) {
                self.0.put(to);
            }
            fn take(from: &mut $crate::field::Reader<'_>) -> Result<Self, $crate::field::DecodeError> {
                <$int as $crate::field::Field>::take(from).map(Self)
            }
        }
    };
}
pub(crate) use flags;
