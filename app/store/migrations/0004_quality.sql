alter table job add column parent_id varchar;

-- Derived from the regions: rows may be deleted at any time and are measured again.
-- class_id 0 = the frame as a whole; track_id '' = the class with all of its regions.
create table measure (
    asset_id varchar not null,
    frame_index integer not null,
    class_id integer not null,
    track_id varchar not null,
    area bigint not null,
    change double,
    iou double,
    dice double,
    warped_iou double,
    warped_dice double,
    boundary_f double
);
create index measure_asset on measure (asset_id);

-- regions, revisions, updated_at, ranks: what the frame and the one before it were like when they were measured.
create table measured (
    asset_id varchar not null,
    frame_index integer not null,
    regions integer not null,
    revisions bigint not null,
    updated_at double not null,
    ranks varchar not null,
    cut boolean not null,
    contested bigint not null,
    unlabelled bigint not null
);
create index measured_asset on measured (asset_id);

-- Frames whose ground truth is kept hidden beside the labels; the label maps are files of the asset.
create table truth (
    asset_id varchar not null,
    frame_index integer not null,
    source varchar not null,
    objects boolean not null,
    actor varchar not null,
    created_at double not null
);
create index truth_asset on truth (asset_id);

-- Derived: a frame's labels against its hidden ground truth, as JSON.
create table truth_score (
    asset_id varchar not null,
    frame_index integer not null,
    regions integer not null,
    revisions bigint not null,
    updated_at double not null,
    ranks varchar not null,
    truth_at double not null,
    cells varchar not null,
    objects varchar not null
);
create index truth_score_asset on truth_score (asset_id);

-- Who opened which frame, last when.
create table seen (
    frame_id varchar not null,
    actor varchar not null,
    "at" double not null,
    primary key (frame_id, actor)
);
