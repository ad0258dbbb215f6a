/** Failures of TLS handshakes in words: what was refused, and which setting to look at. */
import { messageOf } from '../errors/errors.ts';

/** OpenSSL's names of what is wrong with a certificate of the other side, as `node:tls` reports them. */
const untrusted = new Set([
  ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ...['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'CERT_SIGNATURE_FAILURE', 'CERT_UNTRUSTED'],
]);

/** The names of the settings of this side, for its certificate and for its authorities. */
export interface TlsSettingNames {
  readonly cert: string;
  readonly ca: string;
}

/** A handshake failed because of a certificate or because only one side has TLS, not because of the network. */
export function isCredentialFailure(error: unknown): boolean {
  const code = codeOf(error);
  return /^ERR_(SSL|TLS|OSSL)_/.test(code) || untrusted.has(code) || /^(CERT|INVALID|HOSTNAME)_/.test(code);
}

/** Whatever ended an attempt to connect. */
export function tlsFailureText(error: unknown, { cert, ca }: TlsSettingNames): string {
  const code = codeOf(error);
  const message = messageOf(error);
  if (untrusted.has(code)) return `no authority in ${ca} has issued its certificate (${code})`;
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired';
  if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const { host, cert: its } = error as {
      readonly host?: string;
      readonly cert?: { readonly subjectaltname?: string };
    };
    return `its certificate is not for ${host} but for ${its?.subjectaltname ?? 'no name'}`;
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNEXPECTED_MESSAGE/.test(code))
    return `it does not speak TLS (${code})`;
  if (/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE)/.test(code)) {
    return `it does not accept the certificate in ${cert} (${code})`;
  }
  return message;
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown } | null)?.code ?? '');
}
