'use strict';

const TRACKING = /^(utm_\w+|fbclid|gclid)$/;

/** The same text for addresses that mean the same page. */
exports.normalise = function normalise(text, base) {
  const url = new URL(text, base);
  url.hash = '';
  url.hostname = url.hostname.replace(/^www\./, '');
  for (const key of [...url.searchParams.keys()]) {
    if (TRACKING.test(key)) url.searchParams.delete(key);
  }
  url.searchParams.sort();
  url.pathname = url.pathname.replace(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '');
  return url.href;
};
