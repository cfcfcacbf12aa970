alter table region add column score double;
alter table region add column agreement double;
alter table track add column lost varchar default '{}';
