//! Building packets into a buffer of the caller's.

use crate::{HEADER_LEN, Header, MAX_PACKET_LEN, MIN_FIELD_LEN};
use thiserror::Error;

/// Why something could not be added to a packet.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BuildError {
    /// The buffer, or the longest packet, is too short.
    #[error("no room for {len} more bytes")]
    NoRoom {
        /// Bytes that did not fit.
        len: usize,
    },
    /// Only version 4 packets have extension fields.
    #[error("version {version} has no extension fields")]
    NoFields {
        /// The packet's version.
        version: u8,
    },
    /// A field with its header must be 16 bytes or more and a multiple of 4.
    #[error("an extension field of {len} bytes is malformed")]
    FieldLength {
        /// Its length with the 4-byte header.
        len: usize,
    },
}

/// Writes a packet: the header, then fields, then a MAC.
#[derive(Debug)]
pub struct PacketBuilder<'b> {
    buffer: &'b mut [u8],
    len: usize,
    version: u8,
}

impl<'b> PacketBuilder<'b> {
    /// Starts with a header.
    ///
    /// # Errors
    /// [`BuildError::NoRoom`] if the buffer is shorter than one.
    pub fn new(buffer: &'b mut [u8], header: &Header) -> Result<Self, BuildError> {
        let mut builder = Self {
            buffer,
            len: 0,
            version: header.version,
        };
        builder.append(&header.to_bytes())?;
        Ok(builder)
    }

    /// Replaces the header, for a transmit time that is read after the fields were added.
    pub fn set_header(&mut self, header: &Header) {
        if let Some(to) = self.buffer.first_chunk_mut::<HEADER_LEN>() {
            *to = header.to_bytes();
            self.version = header.version;
        }
    }

    /// Adds an extension field.
    ///
    /// # Errors
    /// If the packet is not of version 4, or the field is malformed or does not fit; nothing was
    /// added.
    pub fn add_field(&mut self, kind: u16, body: &[u8]) -> Result<(), BuildError> {
        if self.version != 4 {
            return Err(BuildError::NoFields {
                version: self.version,
            });
        }
        let len = body.len().saturating_add(4);
        let bad = BuildError::FieldLength { len };
        let short = u16::try_from(len).map_err(|_| bad)?;
        if len < MIN_FIELD_LEN || !len.is_multiple_of(4) {
            return Err(bad);
        }
        self.check_room(len)?;
        self.append(&kind.to_be_bytes())?;
        self.append(&short.to_be_bytes())?;
        self.append(body)
    }

    /// Adds bytes as they are: a MAC with its key id.
    ///
    /// # Errors
    /// [`BuildError::NoRoom`]; nothing was added.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.check_room(bytes.len())?;
        let end = self.len + bytes.len();
        if let Some(to) = self.buffer.get_mut(self.len..end) {
            to.copy_from_slice(bytes);
            self.len = end;
        }
        Ok(())
    }

    /// What was written so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Ends, giving the packet.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    fn check_room(&self, len: usize) -> Result<(), BuildError> {
        let limit = self.buffer.len().min(MAX_PACKET_LEN);
        if limit - self.len.min(limit) < len {
            return Err(BuildError::NoRoom { len });
        }
        Ok(())
    }
}
