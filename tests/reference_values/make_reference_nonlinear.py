# ruff: noqa
"""Nonlinear GMM reference numbers and deterministic ('gold') quasi-posteriors."""

import os, json, itertools, warnings, numpy as np, pandas as pd
from scipy import optimize, special

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
from make_reference import f, versions


def S_of(h, center):
    S = h.T @ h / len(h)
    if center:
        g = h.mean(0)
        S = S - np.outer(g, g)
    return S


def gmm(mom, jac, th0, W0, center=False, names=None):
    """one-step, two-step, iterated, CUE.  mom(th)->(n,m);  jac(th)->(m,k) of mean."""
    n = len(mom(np.asarray(th0, float)))
    # Gauss-Newton on the whitened residual

    def solve(W, th):
        L = np.linalg.cholesky(W)
        r = optimize.least_squares(
            lambda t: L.T @ mom(t).mean(0),
            th,
            jac=lambda t: L.T @ jac(t),
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=2000,
            x_scale="jac",
        )
        return r.x

    def cov(th, W):
        G, S = jac(th), S_of(mom(th), center)
        B = np.linalg.inv(G.T @ W @ G)
        return B @ G.T @ W @ S @ W @ G @ B / n, np.linalg.inv(G.T @ np.linalg.solve(S, G)) / n

    out = {}

    def rec(key, th, W):
        g = mom(th).mean(0)
        V, Ve = cov(th, W)
        out[key] = {
            "params": dict(zip(names, map(f, th))),
            "se_sandwich_S_at_estimate": dict(zip(names, map(f, np.sqrt(np.diag(V))))),
            "se_efficient_S_at_estimate": dict(zip(names, map(f, np.sqrt(np.diag(Ve))))),
            "se_efficient_weight_used": dict(
                zip(names, map(f, np.sqrt(np.diag(np.linalg.inv(jac(th).T @ W @ jac(th)) / n))))
            ),
            "J_weight_used": f(n * g @ W @ g),
        }

    t1 = solve(W0, np.asarray(th0, float))
    rec("one_step", t1, W0)
    W = np.linalg.inv(S_of(mom(t1), center))
    t2 = solve(W, t1)
    rec("two_step", t2, W)
    t = t2
    for it in range(500):
        W = np.linalg.inv(S_of(mom(t), center))
        tn = solve(W, t)
        if np.max(np.abs(tn - t) / (1e-8 + np.abs(t))) < 1e-10:
            t = tn
            break
        t = tn
    W = np.linalg.inv(S_of(mom(t), center))
    rec("iterated", t, W)
    out["iterated"]["n_iter"] = it + 3

    def q(t):
        h = mom(t)
        g = h.mean(0)
        try:
            return n * g @ np.linalg.solve(S_of(h, center), g)
        except Exception:
            return 1e10

    sc = np.maximum(np.abs(t), 1e-3)
    best = None
    for s0 in (t2, t, t1):
        r = optimize.minimize(
            lambda u: q(u * sc),
            s0 / sc,
            method="Nelder-Mead",
            options=dict(xatol=1e-11, fatol=1e-12, maxiter=40000, maxfev=40000),
        )
        r = optimize.minimize(lambda u: q(u * sc), r.x, method="BFGS", options=dict(gtol=1e-9))
        if best is None or r.fun < best.fun:
            best = r
    tc = best.x * sc
    rec("cue", tc, np.linalg.inv(S_of(mom(tc), center)))
    return out


def exp_model(d, y, xs, zs, kind):
    Y = d[y].values.astype(float)
    X = np.c_[d[xs].values.astype(float), np.ones(len(d))]
    Z = np.c_[d[zs].values.astype(float), np.ones(len(d))]
    if kind == "additive":
        mom = lambda t: Z * (Y - np.exp(X @ t))[:, None]
        jac = lambda t: -(Z * np.exp(X @ t)[:, None]).T @ X / len(Y)
    else:
        mom = lambda t: Z * (Y * np.exp(-(X @ t)) - 1)[:, None]
        jac = lambda t: -(Z * (Y * np.exp(-(X @ t)))[:, None]).T @ X / len(Y)
    W0 = np.linalg.inv(Z.T @ Z / len(Y))
    th0 = np.linalg.lstsq(X, np.log(Y + 1), rcond=None)[0]
    return mom, jac, th0, W0, xs + ["const"]


def euler_data():
    c = pd.read_csv(os.path.join(HERE, "ccapm_monthly.csv"))
    C = c.PCEND / (c.PPCEND * c.CNP16OV)
    infl = c.PPCEND / c.PPCEND.shift(1)
    d = pd.DataFrame(
        {
            "date": c.DATE,
            "rc": C / C.shift(1),
            "rm": c.SP500 / c.SP500.shift(1) / infl,
            "rb": (1 + c.GS1.shift(1) / 100) ** (1 / 12) / infl,
        }
    )
    for v in ("rc", "rm", "rb"):
        d[v + "_lag"] = d[v].shift(1)
    return d.dropna().reset_index(drop=True)


def euler(d, returns=("rb", "rm"), inst=("rc_lag", "rb_lag", "rm_lag")):
    rc = d.rc.values
    Z = np.c_[np.ones(len(d)), d[list(inst)].values]
    R = d[list(returns)].values
    lr = np.log(rc)
    n = len(d)

    def mom(t):
        e = t[0] * np.exp(-t[1] * lr)[:, None] * R - 1
        return np.concatenate([Z * e[:, [j]] for j in range(R.shape[1])], 1)

    def jac(t):
        m = np.exp(-t[1] * lr)[:, None] * R
        gb = np.concatenate([(Z * m[:, [j]]).mean(0) for j in range(R.shape[1])])
        gg = np.concatenate(
            [(Z * (-t[0] * lr[:, None] * m[:, [j]])).mean(0) for j in range(R.shape[1])]
        )
        return np.c_[gb, gg]

    W0 = np.kron(np.eye(R.shape[1]), np.linalg.inv(Z.T @ Z / n))
    return mom, jac, [0.999, 1.0], W0, ["beta", "gamma"]


def summarise(x, w):
    o = np.argsort(x)
    x, w = x[o], w[o]
    c = np.cumsum(w) - w / 2
    c /= w.sum()
    mean = (x * w).sum() / w.sum()
    sd = np.sqrt(((x - mean) ** 2 * w).sum() / w.sum())
    return {
        "mean": f(mean),
        "sd": f(sd),
        "quantiles": {
            str(p): f(np.interp(p, c, x)) for p in (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)
        },
    }


def gold_linear_2par(y, x, Z, prior_sd, center, det=False, m_b=4001, m_a=161, flat_box=None):
    """y = a + b x + e, moments Z'e (Z has constant). Independent N(0, sd^2) priors on (a,b)."""
    n = len(y)
    xb, yb = x.mean(), y.mean()
    W = np.linalg.inv(Z.T @ Z)
    X = np.c_[np.ones(n), x]
    P = np.linalg.solve(X.T @ Z @ W @ Z.T @ X, X.T @ Z @ W @ Z.T @ y)
    bh = P[1]
    e = y - X @ P
    se = np.sqrt(e @ e / n * np.linalg.inv(X.T @ Z @ W @ Z.T @ X)[1, 1])
    u = np.linspace(-1, 1, m_b)
    k = 7.0
    hw = 8 * prior_sd[1] if flat_box is None else None
    bg = bh + (hw if hw else 1) * np.sinh(k * u) / np.sinh(k)
    jb = k * np.cosh(k * u)
    if flat_box is not None:
        lo, hi = flat_box
        bg = np.linspace(lo, hi, m_b)
        jb = np.ones(m_b)
    v = np.linspace(-9, 9, m_a)
    lp = np.empty((m_b, m_a))
    A = np.empty((m_b, m_a))
    for i, b in enumerate(bg):
        r0 = y - b * x
        mid = yb - b * xb
        s = np.sqrt(((r0 - mid) ** 2).mean() / n) * 2.0
        A[i] = mid + s * v
        for j in range(m_a):
            h = Z * (r0 - A[i, j])[:, None]
            g = h.mean(0)
            S = h.T @ h / n
            if center:
                S = S - np.outer(g, g)
            q = n * g @ np.linalg.solve(S, g)
            lp[i, j] = -0.5 * q - (0.5 * np.linalg.slogdet(S)[1] if det else 0) + np.log(s)
    lp += np.log(jb)[:, None]
    if flat_box is None:
        lp += -0.5 * (bg[:, None] / prior_sd[1]) ** 2
    lp += -0.5 * (A / prior_sd[0]) ** 2
    w = np.exp(lp - lp.max())
    B = np.repeat(bg[:, None], m_a, 1)
    edge = w[[0, -1]].sum() / w.sum() + w[:, [0, -1]].sum() / w.sum()
    return {
        "a": summarise(A.ravel(), w.ravel()),
        "b": summarise(bg, w.sum(1)),
        "edge_mass": f(edge),
    }


if __name__ == "__main__":
    out = {}
    d = pd.read_csv(os.path.join(HERE, "docvisits.csv"))
    a = exp_model(
        d,
        "docvis",
        ["private", "chronic", "female", "income"],
        ["private", "chronic", "female", "age", "black", "hispanic"],
        "additive",
    )
    out["docvisits_additive"] = {
        "data": "docvisits.csv",
        "nobs": len(d),
        "moments": "E[z*(docvis - exp(x'b))]=0; x = private chronic female income const; z = private chronic female age black hispanic const",
        "weight": "uncentered",
        "one_step_W0": "(Z'Z/n)^-1",
        **gmm(*a[:4], names=a[4]),
    }
    t = np.array([0.5, 1, 1, 0.1, 0.1])
    h = a[0](t)
    g = h.mean(0)
    n = len(d)
    out["docvisits_additive"]["objective_check"] = {
        "theta": t.tolist(),
        "n_gbar_Sinv_gbar_uncentered": f(n * g @ np.linalg.solve(S_of(h, False), g)),
        "n_gbar_Sinv_gbar_centered": f(n * g @ np.linalg.solve(S_of(h, True), g)),
        "half_logdet_S_uncentered": f(0.5 * np.linalg.slogdet(S_of(h, False))[1]),
    }
    e = euler_data()
    e.to_csv(os.path.join(HERE, "ccapm_euler.csv"), index=False, float_format="%.10g")
    e = pd.read_csv(os.path.join(HERE, "ccapm_euler.csv"))
    a = euler(e)
    out["ccapm_euler"] = {
        "data": "ccapm_euler.csv",
        "nobs": len(e),
        "moments": "E[(beta*rc^(-gamma)*R - 1) z]=0 for R in (rb, rm); z = 1, rc_lag, rb_lag, rm_lag (8 moments)",
        "weight": "uncentered",
        "one_step_W0": "I2 kron (Z'Z/n)^-1",
        **gmm(*a[:4], names=a[4]),
    }
    a1 = euler(e, returns=("rm",))
    out["ccapm_euler_market_only"] = {
        "data": "ccapm_euler.csv",
        "nobs": len(e),
        "moments": "as above with R = rm only (4 moments)",
        "weight": "uncentered",
        **gmm(*a1[:4], names=a1[4]),
    }
    for k, v in out.items():
        print(
            k,
            {
                q: (v[q]["params"], v[q]["se_efficient_S_at_estimate"], v[q]["J_weight_used"])
                for q in ("one_step", "two_step", "iterated", "cue")
            },
        )
    gold = {}
    j = pd.read_csv(os.path.join(HERE, "ajr2001_table5.csv"))
    j = j[j.baseco == 1]
    y, x = j.logpgp95.values, j.avexpr.values
    Z = np.c_[np.ones(64), j.logem4.values]
    Z2 = np.c_[Z, j.lat_abst.values]
    for nm, z in (("just", Z), ("over_latitude", Z2)):
        for ps in ((20.0, 2.0), (20.0, 10.0)):
            for cen in (False, True):
                key = "ajr_%s_prior_sd_a%g_b%g_%s" % (
                    nm,
                    ps[0],
                    ps[1],
                    "centered" if cen else "uncentered",
                )
                gold[key] = gold_linear_2par(y, x, z, ps, cen)
                print(key, gold[key]["b"], gold[key]["edge_mass"], flush=True)

        # limit of the CUE objective as |slope| -> infinity, intercept profiled out
        def qinf(c):
            h = z * (x - c)[:, None]
            g = h.mean(0)
            return 64 * g @ np.linalg.solve(h.T @ h / 64, g)

        gold["ajr_%s_cue_objective_limit" % nm] = f(
            min(
                optimize.minimize_scalar(
                    qinf, bounds=(x.mean() - 3, x.mean() + 3), method="bounded"
                ).fun,
                1e9,
            )
        )
        print(nm, gold["ajr_%s_cue_objective_limit" % nm])
    for ps in ((20.0, 2.0), (20.0, 10.0)):
        for nm, z in (("just", Z), ("over_latitude", Z2)):
            gold["ajr_%s_prior_sd_a%g_b%g_uncentered_with_logdet" % (nm, ps[0], ps[1])] = (
                gold_linear_2par(y, x, z, ps, False, det=True)
            )
    # Euler: uniform prior on a box around the local optimum every package finds
    lr = np.log(e.rc.values)
    n = len(e)
    rcs = {
        "euler_two_returns": (["rb", "rm"], a, (-1.0, 1.5)),
        "euler_market_only": (["rm"], a1, (-5.0, 6.0)),
    }
    for nm, (cols, aa, (gl, gh)) in rcs.items():
        for cen, det in ((False, False), (True, False), (False, True)):
            m = 321
            gg = np.linspace(gl, gh, m)
            L = np.empty((m, m))
            Bm = np.empty((m, m))
            for i, ga in enumerate(gg):
                disc = np.exp(-ga * lr)[:, None] * e[cols].values
                c0 = 1 / disc[:, 0].mean()
                wd = 12 * c0 * disc[:, 0].std() / disc[:, 0].mean() / np.sqrt(n) + 3e-4
                bb = np.linspace(c0 - wd, c0 + wd, m)
                Bm[i] = bb
                for k, b in enumerate(bb):
                    h = aa[0](np.array([b, ga]))
                    g = h.mean(0)
                    S = h.T @ h / n
                    if cen:
                        S = S - np.outer(g, g)
                    L[i, k] = (
                        -0.5 * n * g @ np.linalg.solve(S, g)
                        + np.log(2 * wd)
                        - (0.5 * np.linalg.slogdet(S)[1] if det else 0)
                    )
            w = np.exp(L - L.max())
            key = "%s_uniform_gamma_%g_%g_%s%s" % (
                nm,
                gl,
                gh,
                "centered" if cen else "uncentered",
                "_with_logdet" if det else "",
            )
            gold[key] = {
                "prior": "gamma~U(%g,%g), beta flat" % (gl, gh),
                "beta": summarise(Bm.ravel(), w.ravel()),
                "gamma": summarise(gg, w.sum(1)),
                "mass_at_edges": [
                    f(w[0].sum() / w.sum()),
                    f(w[-1].sum() / w.sum()),
                    f(w[:, [0, -1]].sum() / w.sum()),
                ],
            }
            print(key, gold[key], flush=True)
        prof = []
        for ga in (-5, 0, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 100, 150):

            def q(b):
                h = aa[0](np.array([b, ga]))
                g = h.mean(0)
                return n * g @ np.linalg.solve(h.T @ h / n, g)

            bs = np.linspace(0.6, 1.5, 1801)
            v = [q(b) for b in bs]
            i = int(np.argmin(v))
            r = optimize.minimize_scalar(
                q,
                bounds=(bs[max(i - 1, 0)], bs[min(i + 1, 1800)]),
                method="bounded",
                options=dict(xatol=1e-12),
            )
            prof.append(
                [
                    ga,
                    f(r.x),
                    f(r.fun),
                    f(np.linalg.slogdet(S_of(aa[0](np.array([r.x, ga])), False))[1]),
                ]
            )
        gold[nm + "_cue_profile_gamma_beta_Q_logdetS"] = prof
    # fixed-weight linear GMM: the quasi-posterior under a flat prior is exactly normal
    for nm, file, sel, Y, D, C, I in (
        (
            "card_over_short",
            "card1995.csv",
            None,
            "lwage",
            "educ",
            ["exper", "expersq", "black", "south"],
            ["nearc2", "nearc4"],
        ),
        (
            "mroz_over",
            "mroz1987.csv",
            "inlf==1",
            "lwage",
            "educ",
            ["exper", "expersq"],
            ["motheduc", "fatheduc"],
        ),
    ):
        q = pd.read_csv(os.path.join(HERE, file))
        q = q.query(sel) if sel else q
        n = len(q)
        X = np.c_[np.ones(n), q[C + [D]].values]
        Zq = np.c_[np.ones(n), q[C + I].values]
        yy = q[Y].values
        W = np.linalg.inv(Zq.T @ Zq)
        b = np.linalg.solve(X.T @ Zq @ W @ Zq.T @ X, X.T @ Zq @ W @ Zq.T @ yy)
        u = yy - X @ b
        hh = Zq * u[:, None]
        Wn = np.linalg.inv(hh.T @ hh)
        V = np.linalg.inv(X.T @ Zq @ Wn @ Zq.T @ X)
        m = V @ X.T @ Zq @ Wn @ Zq.T @ yy
        gold["fixed_two_step_weight_" + nm] = {
            "weight": "S at the 2SLS residuals, uncentered",
            "prior": "flat",
            "names": ["const"] + C + [D],
            "posterior_mean": list(map(f, m)),
            "posterior_cov": [list(map(f, r)) for r in V],
            "posterior_sd": list(map(f, np.sqrt(np.diag(V)))),
        }
    json.dump(
        {"versions": versions(), "nonlinear_gmm": out},
        open(os.path.join(HERE, "reference_nonlinear_gmm.json"), "w"),
        indent=1,
    )
    json.dump(
        {
            "versions": versions(),
            "convention": "log quasi-posterior = log prior - 0.5 * n * gbar(theta)' S(theta)^-1 gbar(theta); S re-evaluated at theta (CUE weight) unless the key says fixed weight; 'with_logdet' adds -0.5*log det S(theta)",
            "method": "deterministic 2-D trapezoid quadrature",
            "quasi_posteriors": gold,
        },
        open(os.path.join(HERE, "reference_quasi_posterior.json"), "w"),
        indent=1,
    )
