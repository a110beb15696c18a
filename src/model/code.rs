//! gRPC status codes (grpc/doc/statuscodes.md) and their HTTP counterparts (google/rpc/code.proto).

use http::StatusCode;

macro_rules! codes {
    ($($name:ident = $number:literal, $text:literal, $http:literal;)*) => {
        /// A gRPC status code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Code { $($name = $number),* }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The code of that number, if there is one.
            pub fn from_number(number: u32) -> Option<Code> {
                match number { $($number => Some(Code::$name),)* _ => None }
            }

            /// The name in `google.rpc.Code`, e.g. `NOT_FOUND`.
            pub fn name(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }

            /// The number as a header value.
            pub fn digits(self) -> &'static str {
                match self { $(Code::$name => stringify!($number)),* }
            }

            /// The HTTP status that google/api/http.proto gives to this code.
            pub fn http_status(self) -> StatusCode {
                let number: u16 = match self { $(Code::$name => $http),* };
                StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    };
}

codes! {
    Ok = 0, "OK", 200;
    Cancelled = 1, "CANCELLED", 499;
    Unknown = 2, "UNKNOWN", 500;
    InvalidArgument = 3, "INVALID_ARGUMENT", 400;
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", 504;
    NotFound = 5, "NOT_FOUND", 404;
    AlreadyExists = 6, "ALREADY_EXISTS", 409;
    PermissionDenied = 7, "PERMISSION_DENIED", 403;
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", 429;
    FailedPrecondition = 9, "FAILED_PRECONDITION", 400;
    Aborted = 10, "ABORTED", 409;
    OutOfRange = 11, "OUT_OF_RANGE", 400;
    Unimplemented = 12, "UNIMPLEMENTED", 501;
    Internal = 13, "INTERNAL", 500;
    Unavailable = 14, "UNAVAILABLE", 503;
    DataLoss = 15, "DATA_LOSS", 500;
    Unauthenticated = 16, "UNAUTHENTICATED", 401;
}

impl Code {
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What an HTTP status means when a gRPC answer carries no `grpc-status` (grpc/doc/http-grpc-status-mapping.md).
    pub fn from_http(status: StatusCode) -> Code {
        match status.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        }
    }

    /// The value of a `grpc-status` field. Anything but a known number is UNKNOWN, never OK.
    pub fn from_header(value: &[u8]) -> Code {
        let number = match value {
            [a @ b'0'..=b'9'] => u32::from(a - b'0'),
            [b'1', b @ b'0'..=b'9'] => 10 + u32::from(b - b'0'),
            _ => return Code::Unknown,
        };
        Code::from_number(number).unwrap_or(Code::Unknown)
    }

    /// Whether this status speaks against the endpoint rather than about the request: what balancing and ejection count as failed.
    pub fn blames_endpoint(self) -> bool {
        match self {
            Code::Unknown | Code::DeadlineExceeded | Code::Internal | Code::Unavailable | Code::DataLoss => true,
            Code::Ok
            | Code::Cancelled
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_known_number_or_unknown() {
        for code in Code::ALL {
            assert_eq!(Code::from_header(code.digits().as_bytes()), *code);
        }
        for bad in ["", "17", "99", "-1", "00", "0 ", "OK", "1a"] {
            assert_eq!(Code::from_header(bad.as_bytes()), Code::Unknown, "{bad:?}");
        }
    }
}
