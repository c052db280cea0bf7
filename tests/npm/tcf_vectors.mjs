// Writes TC strings as npm's @iabtcf/core encodes them, with what it reads in
// them again, for tests/unit/test_tcf_vectors.c:  node tcf_vectors.mjs FILE
//
// The same strings at every run. One line a string:
//   text created updated cmp version screen language list policy specific
//   nonstandard treatment country features consent interest
//   disclosed publisher pub-consent pub-interest probe...
// Times are ms, sets are hex with bit n-1 for number n, a probe is
// vendor:consent:interest:disclosed:purpose:restriction.
import { writeFileSync } from 'node:fs';
import { GVL, PurposeRestriction, Segment, TCModel, TCString } from '@iabtcf/core';

const STRINGS = 500;
const PROBES = 24;
const file = process.argv[2];
if (file === undefined) {
  console.error('usage: node tcf_vectors.mjs FILE');
  process.exit(3);
}

let state = 20261125;
function below(n) { // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const some = (n) => Array.from({ length: below(n + 1) }, () => 1 + below(n));

const purposes = Array.from({ length: 11 }, (_, i) => i + 1);
const items = (ids) => Object.fromEntries(ids.map((id) => [id, { id, name: `${id}` }]));
function vendorList(count, version) {
  const vendors = {};
  for (let id = 1; id <= count; id += 1 + below(3)) {
    vendors[id] = {
      id, name: `v${id}`, purposes, legIntPurposes: purposes.slice(1),
      flexiblePurposes: purposes.slice(1), specialPurposes: [], features: [],
      specialFeatures: [1, 2],
    };
  }
  return new GVL({
    gvlSpecificationVersion: 3, vendorListVersion: version, tcfPolicyVersion: 4 + below(3),
    lastUpdated: '2026-01-01T00:00:00Z', purposes: items(purposes),
    specialPurposes: items([1, 2]), features: items([1, 2, 3]),
    specialFeatures: items([1, 2]), stacks: {}, vendors,
  });
}

// Now and then many vendors, a few, or whole runs of them: the encoder takes
// bits or ranges, whichever is shorter.
function fill(vector, ids) {
  const from = below(ids.length);
  switch (below(5)) {
    case 0: break;
    case 1: vector.set(ids); break;
    case 2: vector.set(ids.filter(() => below(2) === 0)); break;
    case 3: vector.set(ids.slice(from, from + 1 + below(200))); break;
    default: vector.set(some(6).map((n) => ids[(from + n) % ids.length]));
  }
}

function model(ids, gvl) {
  const m = new TCModel(gvl);
  const day = 86400000 * (19000 + below(2000));
  m.cmpId = 2 + below(4094);
  m.cmpVersion = below(4096);
  m.consentScreen = below(64);
  m.policyVersion = gvl.tcfPolicyVersion;
  m.isServiceSpecific = below(4) > 0;
  m.useNonStandardTexts = below(2) === 0;
  m.purposeOneTreatment = below(3) === 0;
  m.publisherCountryCode = ['DE', 'FR', 'AA', 'ZZ', 'IT'][below(5)];
  m.specialFeatureOptins.set(some(2));
  m.purposeConsents.set(some(11));
  m.purposeLegitimateInterests.set(some(11));
  m.publisherConsents.set(some(24));
  m.publisherLegitimateInterests.set(some(24));
  m.numCustomPurposes = below(3);
  fill(m.vendorConsents, ids);
  fill(m.vendorLegitimateInterests, ids);
  for (let n = below(8); n > 0; n -= 1) {
    m.publisherRestrictions.add(ids[below(ids.length)],
      new PurposeRestriction(2 + below(10), below(3)));
  }
  m.created = new Date(day);
  m.lastUpdated = new Date(day + 86400000 * below(3));
  return m;
}

const hex = (vector) => {
  let bits = 0;
  vector.forEach((has, id) => { if (has && id <= 24) bits |= 1 << (id - 1); });
  return bits.toString(16);
};
const bit = (b) => (b ? 1 : 0);

function restriction(m, vendor, purpose) {
  const found = m.publisherRestrictions.getRestrictions(vendor)
    .filter((r) => r.purposeId === purpose).map((r) => 1 << r.restrictionType);
  return found.reduce((a, b) => a | b, 0);
}

const lines = [];
for (let i = 0; i < STRINGS; i += 1) {
  const gvl = vendorList(20 + below(1500), 1 + below(4000));
  const ids = Object.keys(gvl.vendors).map(Number);
  const segments = [Segment.CORE];
  const disclosed = below(4) > 0;
  const publisher = below(2) === 0;
  if (disclosed) segments.push(Segment.VENDORS_DISCLOSED);
  if (publisher) segments.push(Segment.PUBLISHER_TC);
  const text = TCString.encode(model(ids, gvl), { segments });
  const m = TCString.decode(text);
  const probes = Array.from({ length: PROBES }, (_, n) => {
    const known = n % 3 > 0;
    const v = known ? ids[below(ids.length)] : 1 + below(1600);
    let p = 1 + below(11);
    const own = m.publisherRestrictions.getRestrictions(v);
    if (own.length > 0) p = own[0].purposeId;
    return [v, bit(m.vendorConsents.has(v)), bit(m.vendorLegitimateInterests.has(v)),
      bit(m.vendorsDisclosed.has(v)), p, restriction(m, v, p)].join(':');
  });
  lines.push([text, m.created.getTime(), m.lastUpdated.getTime(), m.cmpId, m.cmpVersion,
    m.consentScreen, m.consentLanguage, m.vendorListVersion, m.policyVersion,
    bit(m.isServiceSpecific), bit(m.useNonStandardTexts), bit(m.purposeOneTreatment),
    m.publisherCountryCode, hex(m.specialFeatureOptins), hex(m.purposeConsents),
    hex(m.purposeLegitimateInterests), bit(disclosed), bit(publisher),
    hex(m.publisherConsents), hex(m.publisherLegitimateInterests), ...probes].join(' '));
}
writeFileSync(file, `${lines.join('\n')}\n`);
